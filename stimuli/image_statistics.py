"""What a picture is in numbers: mean luma, RMS contrast, spectral slope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stimuli.synthesis.starts import ByteImage

REC_709 = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class ImageStatistics:
    """Statistics of the luma of one image: the Rec. 709 sum of its gamma-encoded sRGB values, which is not luminance.

    mean_luma      : 0-255.
    rms_contrast   : standard deviation divided by 255.
    spectral_slope : of log power against log radial frequency; 0 for white noise, about -2 for photographs.
    """

    mean_luma: float
    rms_contrast: float
    spectral_slope: float


def image_statistics(image: ByteImage) -> ImageStatistics:
    """The statistics of an image, (height, width, 3) uint8."""
    luma = image.astype(np.float64) @ np.array(REC_709)
    return ImageStatistics(float(luma.mean()), float(luma.std() / 255.0), spectral_slope(luma))


def spectral_slope(luma: npt.NDArray[np.float64]) -> float:
    """Slope of log power against log radial frequency (Field 1987).

    The power spectrum, under a Hann window, is averaged over rings one cycle per image wide from 2 cycles to the Nyquist
    frequency, and a line is fitted to the rings' logarithms.

    luma : (height, width).

    Returns 0.0 for a uniform image, which has no spectrum.
    """
    height, width = luma.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    weighted_mean = float((luma * window).sum() / window.sum())
    power = np.abs(np.fft.fft2((luma - weighted_mean) * window)) ** 2
    cycles_y = np.fft.fftfreq(height)[:, None] * min(height, width)
    cycles_x = np.fft.fftfreq(width)[None, :] * min(height, width)
    ring = np.rint(np.hypot(cycles_y, cycles_x)).astype(np.int64)
    # The window smears the mean over the first rings: leave out the lowest.
    lowest, highest = 2, min(height, width) // 2
    sums = np.bincount(ring.ravel(), power.ravel())[lowest : highest + 1]
    counts = np.bincount(ring.ravel())[lowest : highest + 1]
    means = sums / counts
    if len(means) < 2 or not (means > 1e-12).all():
        return 0.0
    frequencies = np.arange(lowest, lowest + len(means))
    return float(np.polyfit(np.log(frequencies), np.log(means), 1)[0])
