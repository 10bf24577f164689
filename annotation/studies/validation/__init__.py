"""What is wrong or doubtful in a study."""
