"""Texts that fuzzing begins with, and words that make trouble in them."""

TAGS = {
    "Rows": (0, 1, 5, 23, 24, 25, 60_000),
    "Columns": (0, 1, 18, 19, 20, 60_000),
    "NumberOfFrames": (0, 1, 2, 2**31, -1),
    "BitsAllocated": (1, 8, 16, 32, 64, 0),
    "BitsStored": (0, 1, 4, 7, 8, 12, 16, 17, 300),
    "HighBit": (0, 7, 11, 15, 200),
    "SamplesPerPixel": (0, 1, 2, 3, 4),
    "PixelRepresentation": (0, 1, 2),
    "PlanarConfiguration": (0, 1, 2),
    "PhotometricInterpretation": ("MONOCHROME1", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "PALETTE COLOR", ""),
    "RescaleSlope": ("0", "1e308", "-2", "nan", "x"),
    "RescaleIntercept": ("0", "1e308", "inf", "-1024"),
    "WindowCenter": ("0", "1e308", "nan", ["1", "2"], ""),
    "WindowWidth": ("0", "1", "-5", "0.5", "1e308", ["3", "4"], ""),
    "VOILUTFunction": ("SIGMOID", "LINEAR_EXACT", "X"),
    "PixelPaddingValue": (0, 65535),
    "SmallestImagePixelValue": (0, 5),
    "RedPaletteColorLookupTableDescriptor": ([0, 0, 16], [256, 0, 8], [9, 0, 400], [1]),
    "RedPaletteColorLookupTableData": (b"", bytes(20), b"\1" * 512),
    "PatientID": ("", "x\\y", "é" * 300),
}
"""Tags of DICOM that change pixels, and values that they may have or may not."""
SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5",
            *(f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 57, 70, 80, 81, 90, 91, 201)))  # fmt: skip

CSV = (
    b"path,label,subject,split\na.png,sick,p1,train\nb.dcm,well,p2,test\nc,well,,val\n",
    '\ufeffpath,label\n"a.png","sick, very"\nb.dcm,well\n/nowhere/ä.png,w\n'.encode(),
    b"path,label,split\r\n" + b"".join(b"%sa.png,%d,train\r\n" % (b"./" * i, i % 2) for i in range(9)),
)
CELLS = (b",", b'"', b"\n", b"\r", b"\0", b"\t", b"path", b"label", b"train", b"..", b"/", b"\xff", b"\xc3", b"=1+1",
         b"\xe2\x80\xae", b"\xef\xbb\xbf", b"a" * 5000, b"x" * 140_000, b".", b"a.png", b"b.dcm")  # fmt: skip

STUDIES = (
    b"""\
study: small
question: Does it matter?
data:
  source: phantom
  positive: [PNEUMONIA, "1"]
  image_size: 8
  intensity: unit
  split: &split {val: 0.25, by: case, seed: 0}
base:
  model: {name: mlp, hidden: [6], dropout: 0.1}
  loss: bce
  optimizer: {name: adam, lr: 1e-2, betas: [0.9, 0.99]}
  schedule: constant
  batch_size: 8
  epochs: 3
  augmentation: {flip: horizontal, rotate: 12}
seeds: 2
margin: {accuracy: 0.02}
prior: {accuracy: {seed_sd: 0.03}}
experiments:
  grid:
    title: "G: the grid"
    base: {epochs: 9, optimizer.lr: 0.1}
    factors:
      loss: [bce, {label: weighted, name: bce, class_weights: balanced}]
      batch_size: [4, 8]
    reported:
      accuracy: [{arm: {loss: bce, batch_size: 4}, value: about 0.7}]
    claims:
      - {id: better, metric: accuracy, better: {loss: weighted}, than: {loss: bce}}
      - {id: rises, metric: auroc, trend: increasing, factor: batch_size}
      - id: more
        metric: accuracy
        better: {loss: bce}
        than: {loss: weighted}
        more_at: {batch_size: 8}
        than_at: {batch_size: 4}
assumptions:
  epochs: {path: epochs, assumed: 3, alternatives: [10, 20], because: not stated}
""",
    b"""\
study: growing
question: "Is 4 best?"
data:
  source: {name: phantom, contrast: 0.5}
  image_size: 16
  intensity: image
  split: {val: 0.2, test: 0.2, by: subject, seed: 1}
  subject: given
  positive: PNEUMONIA
base:
  model: linear
  loss: {name: focal, gamma: 2}
  optimizer: {name: sgd, lr: 0.1, momentum: 0.9}
  schedule: {name: cosine, per: batch}
  batch_size: 8
  epochs: 3
  stop: {metric: val_loss, patience: 1}
seeds: {min: 6, max: 30, until: decided}
threshold: [0.3, youden, "sensitivity>=0.9", {name: cost, false_negative: 5, false_positive: 1}]
gap: {leakage: false}
experiments:
  batch:
    factors: {batch_size: [4, 8, 16]}
    claims: [{id: best, metric: accuracy, best: 4}, {id: good, metric: auroc, arm: 8, above: 0.9}]
contradictions: [{about: a, says: b, shown: c}]
""",
)
ARMS = ("a", "b", "e/c")
CLAIMS = (
    b"""\
question: Which?
margin: {accuracy: 0.02, brier: 0.01}
arms: {a: {rate: 1}, b: {rate: 2}, e/c: {rate: 4}}
claims:
  - {id: one, metric: accuracy, better: b, than: a}
  - {id: two, metric: auroc, trend: increasing, role: secondary, margin: 0.01}
  - {id: three, metric: brier, same: [a, e/c], says: "no matter"}
  - {id: four, metric: accuracy, arm: b, above: 0.5}
""",
    b"""\
claims:
  - {id: one, metric: accuracy, better: a, than: b}
  - {id: x, metric: accuracy, arm: c, below: 1, experiment: e}
""",
)
YAML = (b"null", b"~", b"true", b"no", b".nan", b".inf", b"-1", b"0", b"1e999", b"1e-3", b"0o17", b"0x1F", b"9" * 30,
        b"9" * 5000, b"*split", b"&a", b"*a", b"!!python/object/apply:os.system", b"!!set", b"!!timestamp", b"!!int x",
        b"!!binary", b"!!float", b"!!omap", b"!!str", b"!x", b"2020-01-01", b"<<", b"? ", b": ", b"- ", b"[", b"]",
        b"{", b"}", b"|\n", b">", b"'", b'"', b"#", b"%YAML 1.1\n", b"---\n", b"...\n", b"\t", b"\0", b"\x85", b"\xff",
        b"\xe2\x80\xa8", b'"\\ud800"', b'"\\x1b[31m"', b'"\\0"', b"name", b"label", b"accuracy", b"all", b"seeds",
        b"data.source", b"model.init", b"=", b"[[1, 2], 3]", b"{a: {b: c}}", b"batch_size", b"a" * 3000, b"1.5",
        b"phantom", b"base")  # fmt: skip

LOGITS = (
    b"arm,seed,case,label,logit,subject,split\n"
    + b"".join(
        b"%s,%d,c%d,%d,%.3f,p%d,%s\n" % (arm, seed, case, case % 2, case - 2.5, case // 2, split)
        for arm in (b"a", b"b")
        for seed in (0, 1)
        for case, split in enumerate((b"test", b"test", b"val", b"test", b"val", b"train"))
    ),
    b"case,label,logit,arm,seed\nx,0,-1e3,a,0\ny,1,.5,a,0\nx,0,2,b,-1\ny,1,-0,b,-1\n",
)
VALUES = (b"nan", b"inf", b"1e999", b"-1", b"1e308", b"-1e308", b"0", b"1", b"1.0", b"99999999999999999999", b"test",
          b"val", b"train", b"a", b"\xd9\xa3", b"1_0", b"arm", b"logit", b"label")  # fmt: skip
