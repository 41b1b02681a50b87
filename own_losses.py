def loss(y):
    return "a"


def other(y):
    return "b"
