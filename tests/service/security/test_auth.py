"""Who may call what, on a real gateway; and the files of keys."""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from service.errors import PermissionDenied
from service.model.signing import load_signing_key, load_trust
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.security import auth
from service.security.watched_files import CHECK_S
from tests.support.gateway import ROOT, SERVICE, Gateway
from tests.support.requests import Metadata, call, request, scan
from tests.support.secrets import AUDIENCE, ISSUER, bearer, jwks, key_entry, new_jwt, new_token

BODY = request(scan(1)).SerializeToString()
WITHIN_S = CHECK_S + 30.0


@dataclass
class Secured:
    """A gateway that wants tokens, and tokens."""

    gateway: Gateway
    keys: Path
    jwks: Path
    analyst: str
    admin: str
    signer: ec.EllipticCurvePrivateKey

    @property
    def target(self) -> str:
        return self.gateway.target


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("auth")
    analyst, admin, signer = new_token(), new_token(), ec.generate_private_key(ec.SECP256R1())
    (folder / "keys.toml").write_text(key_entry("backend", analyst, "analyze") + key_entry("ops", admin, "admin"))
    (folder / "jwks.json").write_text(jwks(a=signer))
    flags = (
        "--auth-keys", str(folder / "keys.toml"), "--auth-jwks", str(folder / "jwks.json"),
        "--auth-issuer", ISSUER, "--auth-audience", AUDIENCE, "--log-level", "debug",
    )  # fmt: skip
    with Gateway(*flags) as gateway:
        yield Secured(gateway, folder / "keys.toml", folder / "jwks.json", analyst, admin, signer)


def refusal(target: str, metadata: Metadata = (), method: str = "Analyze") -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(target, method, BODY, metadata=metadata)
    return caught.value.code(), caught.value.details()


def is_let_in(secured: Secured, token: str) -> bool:
    try:
        return bool(call(secured.target, "Analyze", BODY, metadata=bearer(token)))
    except grpc.RpcError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def name_in_log(gateway: Gateway, request_id: str) -> str:
    [line] = [line for line in gateway.log() if line.get("request_id") == request_id]
    return str(line["caller"])


def test_a_key_or_a_jwt_lets_in_and_the_log_says_who(secured: Secured) -> None:
    for token, name in ((secured.analyst, "key:backend"), (new_jwt(secured.signer), "jwt:tester")):
        answer = call(secured.target, "Analyze", BODY, metadata=(*bearer(token), ("x-request-id", name[:3])))
        assert pb.AnalyzeResponse.FromString(answer).file_id == 1
        assert name_in_log(secured.gateway, name[:3]) == name


def forged(token: str, **header: str) -> str:
    """Return the token with another header; its signature stays."""
    head = json.loads(base64.urlsafe_b64decode(token.split(".", maxsplit=1)[0] + "=="))
    text = base64.urlsafe_b64encode(json.dumps(head | header).encode()).rstrip(b"=").decode()
    return ".".join((text, *token.split(".")[1:]))


def hmac_with_public_key(secured: Secured) -> str:
    """Return a token signed with the public key as if it were a shared secret (the library would not make it)."""
    public = secured.signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = forged(new_jwt(secured.signer), alg="HS256").rpartition(".")[0]
    digest = hmac.digest(public, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


BAD_TOKENS: dict[str, Callable[[Secured], str]] = {
    "unknown": lambda _: new_token(),
    "a hash of the file": lambda s: s.keys.read_text().split('"')[3],
    "empty": lambda _: "",
    "too long": lambda _: "x" * 6000,
    "expired": lambda s: new_jwt(s.signer, exp=int(time.time()) - 60),
    "no expiry": lambda s: new_jwt(s.signer, exp=None),
    "not yet": lambda s: new_jwt(s.signer, nbf=int(time.time()) + 600),
    "other issuer": lambda s: new_jwt(s.signer, iss="https://other.example"),
    "no issuer": lambda s: new_jwt(s.signer, iss=None),
    "other audience": lambda s: new_jwt(s.signer, aud="billing"),
    "no audience": lambda s: new_jwt(s.signer, aud=None),
    "no subject": lambda s: new_jwt(s.signer, sub=None),
    "other key": lambda _: new_jwt(ec.generate_private_key(ec.SECP256R1())),
    "unknown kid": lambda s: new_jwt(s.signer, kid="b"),
    "kid is no text": lambda s: forged(new_jwt(s.signer), kid=["a"]),  # type: ignore[arg-type]
    "alg none": lambda _: jwt.encode({"sub": "x", "iss": ISSUER, "aud": AUDIENCE, "exp": 9e9}, None, "none"),
    "alg swapped": lambda s: forged(new_jwt(s.signer), alg="ES384"),
    "public key as secret": hmac_with_public_key,
    "brackets": lambda _: base64.urlsafe_b64encode(b"[" * 4000).decode().rstrip("=") + ".e30.AA",
    "claims changed": lambda s: ".".join((new_jwt(s.signer).split(".")[0], new_jwt(s.signer, sub="boss").split(".")[1],
                                          new_jwt(s.signer).split(".")[2])),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_TOKENS)
def test_any_bad_token_gets_the_same_answer(secured: Secured, case: str) -> None:
    answer = refusal(secured.target, bearer(BAD_TOKENS[case](secured)))
    assert answer == refusal(secured.target)
    assert answer == (
        grpc.StatusCode.UNAUTHENTICATED,
        "send a valid token in the metadata: authorization: Bearer TOKEN",
    )
    assert not [line for line in secured.gateway.log() if line["level"] == "error"]


def test_other_schemes_and_two_tokens_are_no_tokens(secured: Secured) -> None:
    good = bearer(secured.analyst)
    for metadata in ((("authorization", f"Basic {secured.analyst}"),), good * 2, (("authorization", "Bearer"),)):
        assert refusal(secured.target, metadata)[0] is grpc.StatusCode.UNAUTHENTICATED


def test_each_method_needs_its_role(secured: Secured) -> None:
    assert refusal(secured.target, bearer(secured.admin))[0] is grpc.StatusCode.PERMISSION_DENIED
    assert refusal(secured.target, bearer(new_jwt(secured.signer, scope="")))[0] is grpc.StatusCode.PERMISSION_DENIED
    answer = call(
        secured.target, "Analyze", BODY, metadata=bearer(new_jwt(secured.signer, scope=None, roles=["analyze"]))
    )
    assert answer
    with grpc.insecure_channel(secured.target) as channel:
        to_come = channel.unary_unary("/epcsentinel.v1.AdminService/Do")
        codes = {}
        for name, metadata in (("none", ()), ("analyst", bearer(secured.analyst)), ("admin", bearer(secured.admin))):
            with pytest.raises(grpc.RpcError) as caught:
                to_come(b"", metadata=metadata)
            codes[name] = caught.value.code().name
    assert codes == {"none": "UNAUTHENTICATED", "analyst": "PERMISSION_DENIED", "admin": "UNIMPLEMENTED"}


def test_streams_need_a_token_too(secured: Secured) -> None:
    with grpc.insecure_channel(secured.target) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/AnalyzeStream")
        with pytest.raises(grpc.RpcError) as caught:
            list(stream(iter([BODY]), timeout=10))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert len(list(stream(iter([BODY, BODY]), timeout=10, metadata=bearer(secured.analyst)))) == 2


def test_health_is_open_and_reflection_is_not(secured: Secured) -> None:
    assert secured.gateway.health() == "SERVING"
    with grpc.insecure_channel(secured.target) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.ServerReflectionInfo(iter([ask])))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        [answer] = stub.ServerReflectionInfo(iter([ask]), metadata=bearer(secured.admin))
        assert SERVICE in [service.name for service in answer.list_services_response.service]


def test_keys_are_changed_without_a_restart_and_a_broken_file_changes_nothing(secured: Secured) -> None:
    before = secured.keys.read_text()
    fresh = new_token()
    try:
        secured.keys.write_text("[[key]")
        wait_until(lambda: is_let_in(secured, secured.analyst) and "cannot reload" in str(secured.gateway.log()))
        secured.keys.write_text(key_entry("backend", fresh, "analyze"))
        wait_until(lambda: is_let_in(secured, fresh))
        assert not is_let_in(secured, secured.analyst)
    finally:
        secured.keys.write_text(before)
        wait_until(lambda: is_let_in(secured, secured.analyst))
    assert len([line for line in secured.gateway.log() if line["event"] == "cannot reload"]) == 1


def test_the_log_says_why_and_holds_no_token(secured: Secured) -> None:
    expired = new_jwt(secured.signer, exp=1)
    # Of a method that no other test is refused: further calls of a kind are counted, and get no line of their own.
    refusal(secured.target, (*bearer(expired), ("x-request-id", "why-1")), "AnalyzeFiles")
    refusal(secured.target, (*bearer(secured.admin), ("x-request-id", "why-2")), "AnalyzeFiles")
    log = secured.gateway.log()
    [first], [second] = ([line for line in log if line.get("request_id") == why] for why in ("why-1", "why-2"))
    assert (first["event"], first["code"], first["reason"]) == (
        "refused",
        "UNAUTHENTICATED",
        "JWT: ExpiredSignatureError",
    )
    assert (second["caller"], second["code"]) == ("key:ops", "PERMISSION_DENIED")
    for secret in (expired, secured.analyst, secured.admin):
        assert secret not in str(log)
        assert secret.rpartition(".")[2] not in str(log)


def test_without_tokens_everybody_is_somebody(gateway: Gateway) -> None:
    call(gateway.target, "Analyze", BODY, metadata=(("x-request-id", "nobody"),))
    assert name_in_log(gateway, "nobody") == "anonymous@127.0.0.1"


def test_a_service_that_is_not_listed_needs_an_admin() -> None:
    analyst = auth.named("key", "a", [auth.Role.ANALYZE])
    auth.authorize(analyst, f"/{SERVICE}/Analyze")
    for method in ("/epcsentinel.v1.DriftService/Reset", "/grpc.channelz.v1.Channelz/GetServers", "", "/", "//"):
        with pytest.raises(PermissionDenied):
            auth.authorize(analyst, method)
        assert not auth.is_open(method)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("key = 1", "key: "),
        ("[[key]]\nname='a'\nsha256='xyz'\nroles=['analyze']", r"key\.0\.sha256"),
        ("[[key]]\nname='a'\nsha256='" + "0" * 64 + "'\nroles=['root']", r"key\.0\.roles\.0: .*'label' or 'admin'"),
        ("[[key]]\nname='a b'\nsha256='" + "0" * 64 + "'\nroles=['admin']", r"key\.0\.name"),
        ("[[key]]\nname='a'\ntoken='secret'\nroles=['admin']", r"key\.0\.(sha256|token)"),
        ("nonsense", "at end of document"),
    ],
)
def test_a_file_of_keys_of_no_use_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        auth.parse_keys([text.encode()])
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_documentation_makes_keys_that_work(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    commands = page.split("```sh\n", 1)[1].split("epc-sentinel export", 1)[0]
    subprocess.run(["bash", "-euc", commands], cwd=tmp_path, check=True, capture_output=True)
    verify = auth.parse_keys([(tmp_path / "keys.toml").read_bytes()])
    assert verify((tmp_path / "backend.token").read_text().strip()).name == "key:backend"
    assert load_signing_key(tmp_path / "sign.pem").public_key() == load_trust(tmp_path / "trust.pem")[0]


def test_two_keys_of_one_caller_work_at_the_same_time() -> None:
    old, new = new_token(), new_token()
    verify = auth.parse_keys([(key_entry("a", old, "analyze") + key_entry("a", new, "analyze")).encode()])
    assert verify(old).name == verify(new).name == "key:a"
