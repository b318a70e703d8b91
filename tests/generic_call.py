"""What grpcurl does, for pages that show it: a call by a client that knows nothing but what reflection tells it.

`python generic_call.py -plaintext [-d JSON] HOST:PORT SERVICE/METHOD`
"""

from __future__ import annotations

import argparse
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToJson, Parse
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def main() -> int:
    """Call, and print every answer; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-plaintext", action="store_true", required=True)
    parser.add_argument("-d", dest="data", default="{}")
    parser.add_argument("address")
    parser.add_argument("method")
    arguments = parser.parse_args()
    service_name, _, method_name = arguments.method.rpartition("/")
    with grpc.insecure_channel(arguments.address) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        method = pool.FindServiceByName(service_name).methods_by_name[method_name]
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        path, codec = f"/{service_name}/{method_name}", (request.SerializeToString, response.FromString)
        message = Parse(arguments.data, request(), descriptor_pool=pool)
        try:
            if method.server_streaming:
                answers = list(channel.unary_stream(path, *codec)(message, timeout=20))
            else:
                answers = [channel.unary_unary(path, *codec)(message, timeout=20)]
        except grpc.RpcError as error:
            sys.stderr.write(f"ERROR: {error}\n")
            return 1
    for answer in answers:
        sys.stdout.write(MessageToJson(answer, indent=2, descriptor_pool=pool) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
