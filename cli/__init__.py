"""The command line `meterline`: prices, quotes, money, calls and their records."""
