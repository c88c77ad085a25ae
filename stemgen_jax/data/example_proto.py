"""Messages of `tf.train.Example`, the wire format of TFDS's records.

TFDS decodes every feature of a record through numpy, which takes four times as
long as everything else about a batch. The wire format is public and fixed, so
the messages are declared here instead of importing TFDS's generated module.
"""

from typing import Any

from google.protobuf import (
  descriptor_pb2,
  descriptor_pool,
  message_factory,
  text_format,
)

_LIST = """
message_type {{
  name: "{name}"
  field {{ name: "value" number: 1 label: LABEL_REPEATED type: {type} }}
}}
"""
_MESSAGE = 'label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: "{}"'
_FILE = (
  'name: "stemgen_jax_example.proto" syntax: "proto3"'
  + _LIST.format(name="BytesList", type="TYPE_BYTES")
  + _LIST.format(name="FloatList", type="TYPE_FLOAT")
  + _LIST.format(name="Int64List", type="TYPE_INT64")
  + f"""
message_type {{
  name: "Feature"
  field {{ name: "bytes_list" number: 1 {_MESSAGE.format(".BytesList")} }}
  field {{ name: "float_list" number: 2 {_MESSAGE.format(".FloatList")} }}
  field {{ name: "int64_list" number: 3 {_MESSAGE.format(".Int64List")} }}
}}
message_type {{
  name: "Features"
  field {{
    name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE
    type_name: ".Features.FeatureEntry"
  }}
  nested_type {{
    name: "FeatureEntry" options {{ map_entry: true }}
    field {{ name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }}
    field {{ name: "value" number: 2 {_MESSAGE.format(".Feature")} }}
  }}
}}
message_type {{
  name: "Example"
  field {{ name: "features" number: 1 {_MESSAGE.format(".Features")} }}
}}
"""
)

# A pool of its own: TensorFlow registers the same messages in the default one.
_pool = descriptor_pool.DescriptorPool()
_pool.Add(text_format.Parse(_FILE, descriptor_pb2.FileDescriptorProto()))
Example: Any = message_factory.GetMessageClass(
  _pool.FindMessageTypeByName("Example")
)
