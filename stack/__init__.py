"""The private servers of a checkout: a MariaDB and a Kamailio in a folder of its own, on free ports.

Nothing here touches a system service. `make up`, `make demo` and the tests run on it.
"""
