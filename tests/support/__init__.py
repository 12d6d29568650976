"""What scenario tests work with: SIPp processes, raw SIP, a world of accounts, and the truth of the wire."""
