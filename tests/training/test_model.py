import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from training.model import ServingModel

PIXELS = torch.randint(0, 256, (2, 64, 128, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


class Centred(nn.Module):
    """The logits as a function of floating-point pixels, which captum can follow."""

    def __init__(self, model: ServingModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.model(pixels)[0]
        return logits


def test_the_second_output_is_grad_cam(random_model: ServingModel) -> None:
    judge = LayerGradCam(Centred(random_model), random_model.trunk[-1])
    _, cam = random_model(PIXELS)
    for target in (0, 1):
        expected = judge.attribute(PIXELS.float(), target=target, relu_attributions=True)
        torch.testing.assert_close(cam[:, target], expected[:, 0], atol=1e-6, rtol=1e-4)


def test_logits_are_those_of_the_network_on_normalised_pixels() -> None:
    torch.manual_seed(3)
    network = mobilenet_v2(num_classes=2).eval()
    model = ServingModel(network, 2)
    model.set_head(network.classifier[1].weight, network.classifier[1].bias)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    normalised = (PIXELS.permute(0, 3, 1, 2) / 255 - mean) / deviation
    with torch.inference_mode():
        torch.testing.assert_close(model(PIXELS)[0], network(normalised), atol=1e-4, rtol=1e-4)


def test_the_network_given_is_left_alone() -> None:
    network = mobilenet_v2()
    before = network.features[0][0].weight.clone()
    ServingModel(network, 2)
    assert torch.equal(network.features[0][0].weight, before)
