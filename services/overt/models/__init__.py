"""Models as data: each is a card that says where its file comes from, what may be done with it and how to feed it.

`card` is the shape of a card, `registry` finds, obtains and verifies the files, `preprocess` makes the input tensor,
`session` opens ONNX Runtime. No model file ships with the package.
"""
