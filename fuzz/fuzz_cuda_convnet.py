"""Coverage-guided fuzzing of the cuda_convnet reader: a ledger or a NetledgerError, nothing else.

Run: python fuzz/fuzz_cuda_convnet.py -max_total_time=60
"""

from __future__ import annotations

from target import fuzz

SEED = b"""
[data]
type=data
dataIdx=0
start=0
end=192

[c]
type=conv
inputs=data,data
channels=3,3
filters=4
padding=1
stride=1
filterSize=3,3
sharedBiases=0
neuron=tanh[1,2]

[p]
type=pool
pool=max
inputs=c
channels=4
sizeX=3
stride=2
start=-1

[n]
type=cmrnorm
inputs=p
channels=4
size=3

[f]
type=fc
inputs=n
outputs=5

[s]
type=softmax
inputs=f

[l]
type=cost.logreg
inputs=data,s
"""


if __name__ == "__main__":
    fuzz("cuda_convnet", (SEED,))
