"""The routing script inside Kamailio: SIP in, billing calls out."""
