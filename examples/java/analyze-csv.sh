#!/bin/sh
# Compiles the client with Debian's packages, without Maven, and runs it on a raw file: analyze-csv.sh HOST:PORT FILE.
# The classes go to $OUT.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
protos=$here/../../protos
out=${OUT:-$here/target/debian}
jars="
  grpc-api grpc-context grpc-core grpc-netty grpc-protobuf grpc-protobuf-lite grpc-stub proto-google-common-protos
  netty-buffer netty-codec netty-codec-http netty-codec-http2 netty-codec-socks netty-common netty-handler
  netty-handler-proxy netty-resolver netty-tcnative netty-transport protobuf protobuf-util perfmark-api guava gson
  geronimo-annotation-1.3-spec spring3-core spring3-beans spring3-context spring3-aop spring3-expression
  commons-logging
"
classpath=$out/classes:$here/src/main/resources$(printf ':/usr/share/java/%s.jar' $jars)

rm -rf "$out/generated" "$out/classes"
mkdir -p "$out/generated" "$out/classes"
protoc --plugin=protoc-gen-grpc="$(command -v grpc_java_plugin)" --java_out="$out/generated" \
  --grpc_out="$out/generated" -I"$protos" "$protos/epcsentinel/v1/anomaly.proto"
find "$out/generated" "$here/src/main/java" -name '*.java' > "$out/sources"
javac -proc:none -nowarn -cp "$classpath" -d "$out/classes" "@$out/sources"
exec java -cp "$classpath" io.epcsentinel.client.AnalyzeCsv "$@"
