"""Which regularization a small net needs on 1,797 handwritten digits, when it may choose from eight at once.

python studies/digits_mlp.py --trials 200      or      regsearch run studies/digits_mlp.py --trials 200

Penalty, lambda, L1 ratio, dropout, label smoothing, input noise, weight decay and early stopping are searched together.
What came of it: `regsearch show digits-mlp`, next to the reference (everything off, 100 epochs) in the last lines
of the run; the gap of every trial is in the report and in MLflow.
"""

from sklearn.datasets import load_digits

from regsearch import MLP, Choice, Float, Net, Study
from regsearch import nn_techniques as t

X, y = load_digits(return_X_y=True, as_frame=True)
space = Net(
    MLP(hidden=(64, 64)),
    penalty=Choice(None, t.L1Penalty(), t.L2Penalty(), t.ElasticNetPenalty()),
    dropout=Float(0.0, 0.5),
    label_smoothing=Float(0.0, 0.2),
    input_noise=Float(1e-3, 1.0, log=True),
    weight_decay=Float(1e-5, 1e-1, log=True),
    early_stopping=t.EarlyStopping(max_epochs=100, patience=Choice(5, 10, 20)),
)
scoring = ["neg_log_loss", "accuracy"]
study = Study("digits-mlp", X, y, space=space, cv=5, scoring=scoring, test=0.2, seed=0)

if __name__ == "__main__":
    raise SystemExit(study.main())
