"""Messages of `tf.train.Example`, the wire format of TFDS's records.

TFDS decodes every feature of a record through numpy, which takes four times as
long as everything else about a batch. The wire format is public and fixed, so
the messages are declared here instead of importing TFDS's generated module.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Message -> fields in the order of their numbers; "*" marks repeated ones.
_MESSAGES = {
  "BytesList": "value:BYTES*",
  "FloatList": "value:FLOAT*",
  "Int64List": "value:INT64*",
  "Feature": "bytes_list:BytesList float_list:FloatList int64_list:Int64List",
  "FeatureEntry": "key:STRING value:Feature",
  "Features": "feature:Features.FeatureEntry*",
  "Example": "features:Features",
}


def _declare() -> Any:
  """Return the class of the message `Example`."""
  field_type = descriptor_pb2.FieldDescriptorProto.Type.Value
  file = descriptor_pb2.FileDescriptorProto(name="example", syntax="proto3")
  for name, fields in _MESSAGES.items():
    message = file.message_type.add(name=name)
    for number, field in enumerate(fields.split(), 1):
      field_name, kind = field.removesuffix("*").split(":")
      label = "LABEL_REPEATED" if field[-1] == "*" else "LABEL_OPTIONAL"
      added = message.field.add(name=field_name, number=number, label=label)
      is_scalar = kind.isupper()
      added.type = field_type(f"TYPE_{kind if is_scalar else 'MESSAGE'}")
      if not is_scalar:
        added.type_name = kind
  # An entry of a map, nested as protobuf requires; maps read 1.5 times as fast
  # as lists of entries.
  messages = {message.name: message for message in file.message_type}
  entry = messages["Features"].nested_type.add()
  entry.CopyFrom(messages["FeatureEntry"])
  entry.options.map_entry = True
  # A pool of its own: TensorFlow registers the same names in the default one.
  pool = descriptor_pool.DescriptorPool()
  pool.Add(file)
  return message_factory.GetMessageClass(pool.FindMessageTypeByName("Example"))


Example = _declare()
