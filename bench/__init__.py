"""What Meterline costs, beside its peers in the same run. Each program prints a table; figures are ratios first."""
