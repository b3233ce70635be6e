#!/usr/bin/env bash
# The vendor's recipe in its own order, with openssl, curl and AWS's own Python client, and no code of ours.
#
#   recipe_by_hand.sh amazon|own FOLDER
#
# Prints the HTTP status of each publish: 403 before a policy is attached, 200 after. What differs from the recipe:
# the CA's extensions (X.509 v3, which AWS IoT asks for), the server's CA in the last command (the recipe names the
# device's own CA there), and a policy for one topic instead of everything.
set -euo pipefail

ca=$1
cd "$2"
name=$3
python=$4

# 1. CSR with the key in the Zymkey. nonzymkey.key is a placeholder and does not exist.
openssl req -key nonzymkey.key -new -out zymkey.csr -engine zymkey_ssl -keyform e \
  -subj "/C=US/ST=California/L=Santa Barbara/O=Zymbit/OU=Zymkey/CN=$name" 2>/dev/null

case $ca in
amazon)
  # 2A. Amazon's CA signs, and registers in the same call.
  "$python" - <<'PYTHON'
import boto3

with open("zymkey.csr") as csr, open("zymkey.crt", "w") as certificate:
    reply = boto3.client("iot").create_certificate_from_csr(certificateSigningRequest=csr.read(), setAsActive=True)
    certificate.write(reply["certificatePem"])
with open("arn", "w") as arn:
    arn.write(reply["certificateArn"])
PYTHON
  ;;
own)
  # 2B. A CA of one's own signs; it is registered with the proof that one holds its key.
  openssl ecparam -genkey -noout -name prime256v1 -out zk_ca.key
  openssl req -x509 -new -SHA256 -key zk_ca.key -days 3650 -out zk_ca.crt -subj "/O=Zymkey/CN=by hand $name" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
  openssl x509 -req -SHA256 -days 3650 -CA zk_ca.crt -CAkey zk_ca.key -CAcreateserial \
    -in zymkey.csr -out zymkey.crt 2>/dev/null
  code=$("$python" -c 'import boto3; print(boto3.client("iot").get_registration_code()["registrationCode"])')
  openssl req -new -newkey rsa:2048 -nodes -keyout verification.key -out verification.csr -subj "/CN=$code" 2>/dev/null
  openssl x509 -req -sha256 -days 1 -CA zk_ca.crt -CAkey zk_ca.key -CAcreateserial \
    -in verification.csr -out verification.crt 2>/dev/null
  "$python" - <<'PYTHON'
from pathlib import Path

import boto3

iot = boto3.client("iot")
ca = Path("zk_ca.crt").read_text()
proof = Path("verification.crt").read_text()
iot.register_ca_certificate(caCertificate=ca, verificationCertificate=proof, setAsActive=True)
certificate = Path("zymkey.crt").read_text()
reply = iot.register_certificate(certificatePem=certificate, caCertificatePem=ca, status="ACTIVE")
Path("arn").write_text(reply["certificateArn"])
PYTHON
  ;;
esac

publish() {
  curl --silent --output reply --write-out '%{http_code}\n' --tlsv1.2 --cacert "$CA_BUNDLE" \
    --cert zymkey.crt --key nonzymkey.key --engine zymkey_ssl --key-type ENG \
    -X POST -d '{ "hello": "world" }' "https://$IOT_ENDPOINT:$IOT_HTTPS_PORT/topics/hello/$name"
}

# 3. TLS succeeds, and the topic is forbidden.
publish

# 4. A policy for this device's topic.
NAME=$name "$python" - <<'PYTHON'
import json
import os
from pathlib import Path

import boto3

name, arn = os.environ["NAME"], Path("arn").read_text()
scope = arn.split(":cert/")[0]
statements = [
    {"Effect": "Allow", "Action": "iot:Connect", "Resource": f"{scope}:client/{name}"},
    {"Effect": "Allow", "Action": "iot:Publish", "Resource": f"{scope}:topic/hello/{name}"},
]
iot = boto3.client("iot")
policy = iot.create_policy(policyName=name, policyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
iot.attach_policy(policyName=policy["policyName"], target=arn)
PYTHON

# 5. The same command publishes.
publish
