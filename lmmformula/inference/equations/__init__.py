"""What textbooks write of a fit: the covariance V of the data, Henderson's equations."""
