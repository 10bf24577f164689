"""The comparisons of a closed study, one by one."""
