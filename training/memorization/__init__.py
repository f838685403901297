"""Does a model recite what it was trained on? Measures from the literature, with intervals. Trains nothing."""
