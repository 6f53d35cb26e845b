"""The loop that people write in notebooks, as the benchmarks' opponent. Kept plain on purpose."""

import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.datasets import MNIST

BATCH_SIZE = 64


def make_network() -> nn.Sequential:
    """Convolutions of 32 and 64 channels, a linear layer of 128."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def load(root: str) -> MNIST:
    """Torchvision's training set with the usual transforms."""
    usual = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    return MNIST(root, train=True, transform=usual)


def train(
    dataset: Dataset[tuple[torch.Tensor, int]],
    epochs: int,
    seed: int,
    check: Callable[[nn.Module, int, float], bool] = lambda *_: False,
    check_every: int | None = None,
) -> float:
    """Trains and returns the seconds of training.

    `check(network, images so far, seconds so far)` is called every `check_every` images with the clock
    stopped; it returns True to stop.
    """
    torch.manual_seed(seed)
    network = make_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    images_seen, seconds, due = 0, 0.0, check_every
    start = time.perf_counter()
    for _ in range(epochs):
        for images, labels in DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True):
            optimizer.zero_grad()
            loss = criterion(network(images), labels)
            loss.backward()
            optimizer.step()
            images_seen += len(images)
            if due and images_seen >= due:
                seconds += time.perf_counter() - start
                due += check_every or 0
                if check(network, images_seen, seconds):
                    return seconds
                start = time.perf_counter()
    return seconds + time.perf_counter() - start
