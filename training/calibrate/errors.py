"""Why a bundle was not calibrated; nothing was published then.

CalibrationRefused
├── UnfitPictures   the model learnt from them, or their masks are a model's answers, or cannot show what it says
├── TooFewLabelled  hardly a pixel of them has a label that counts
├── OutOfRange      the best temperature is the first or last that is tried
├── NoBetter        on pictures that it was not fitted to, the temperature makes confidence no better
├── NoLogits        no file, or no place in a file, where logits could be divided
└── WrongDivision   a divided file gives other classes, or another confidence than it should
"""

from typing import ClassVar


class CalibrationRefused(Exception):
    """The message says why and what to do. `code` is stable, for programs."""

    code: ClassVar[str] = "calibration_refused"


class UnfitPictures(CalibrationRefused):
    code = "calibration_unfit_pictures"


class TooFewLabelled(CalibrationRefused):
    code = "calibration_too_few_labelled"


class OutOfRange(CalibrationRefused):
    code = "calibration_out_of_range"


class NoBetter(CalibrationRefused):
    code = "calibration_no_better"


class NoLogits(CalibrationRefused):
    code = "calibration_no_logits"


class WrongDivision(CalibrationRefused):
    code = "calibration_wrong_division"
