"""What the commands assume where nobody says otherwise; apart, so that their help can name it without loading what uses it."""

METRIC = "validation.accuracy"

# On 2,000 test images 0.2 points are four images: less is noise, more is a step back.
MARGIN = 0.002

# A small test split adds about a point of noise to a model that is calibrated to 0.01.
CALIBRATION_ERROR = 0.02
