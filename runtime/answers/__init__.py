"""What a person gets: questions and alerts, their answers, and the records of them."""
