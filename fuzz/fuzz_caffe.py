"""Coverage-guided fuzzing of the caffe reader: a ledger or a NetledgerError, nothing else.

Run: python fuzz/fuzz_caffe.py -max_total_time=60
"""

from __future__ import annotations

from target import fuzz

SEED = b"""
name: "n" state { phase: TEST }
input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" param { name: "w" lr_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 group: 1 bias_term: true } }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: AVE kernel_size: 2 } }
layer { name: "b" type: "BatchNorm" bottom: "p" top: "p" include { phase: TEST } }
layer { name: "s" type: "Scale" bottom: "p" top: "p" scale_param { bias_term: true } }
layer { name: "x" type: "Slice" bottom: "p" top: "x1" top: "x2" slice_param { slice_point: 1 } }
layer { name: "k" type: "Concat" bottom: "x1" bottom: "x2" top: "k" }
layer { name: "r" type: "Reshape" bottom: "k" top: "r" reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "f" type: "InnerProduct" bottom: "r" top: "f" inner_product_param { num_output: 5 } }
layer { name: "l" type: "SoftmaxWithLoss" bottom: "f" top: "l" }
"""


if __name__ == "__main__":
    fuzz("caffe", (SEED,))
