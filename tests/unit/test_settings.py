"""Settings: read once, all faults at once, no value in any message."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
from pathlib import Path

import pytest

from services.runtime import settings as module
from services.runtime.settings import Secret, Settings, SettingsError, from_environment, to_environment, warnings

PASSWORD = "hunter2"


def test_nothing_set_is_the_embedded_shape_for_a_developer() -> None:
    settings = from_environment({"PATH": "/bin"})

    assert Settings() == settings
    assert settings.development
    assert settings.serves_reflection
    assert settings.store_address == f"sqlite://{Path('data/events.db').absolute()}"
    assert settings.keys_address == f"sqlite://{Path('data/keys.db').absolute()}"
    assert Path("data/kek") == settings.kek_path
    assert [] == warnings(settings)


def test_every_setting_has_a_variable_of_its_name() -> None:
    environ = {
        "RAPPORT_DATA_DIR": "/var/lib/rapport",
        "RAPPORT_STORE_URL": f"postgresql://app:{PASSWORD}@one/rapport",
        "RAPPORT_KEYS_URL": f"postgresql://app:{PASSWORD}@two/keys",
        "RAPPORT_KEK_FILE": "/run/secrets/kek",
        "RAPPORT_LISTEN": "[::1]:0",
        "RAPPORT_METRICS_LISTEN": "127.0.0.1:9464",
        "RAPPORT_ENVIRONMENT": "production",
        "RAPPORT_REFLECTION": "on",
        "RAPPORT_LOG_FORMAT": "json",
        "RAPPORT_LOG_LEVEL": "warning",
        "RAPPORT_SHUTDOWN_GRACE_S": "0.5",
        "RAPPORT_DEADLINE_DEFAULT_S": "1",
        "RAPPORT_DEADLINE_MAX_S": "2",
        "RAPPORT_CALLS_MAX": "3",
        "RAPPORT_STREAMS_MAX": "4",
        "RAPPORT_STREAMS_PER_CALLER_MAX": "5",
        "RAPPORT_MESSAGE_BYTES_MAX": "65536",
        "RAPPORT_BATCH_ITEMS_MAX": "6",
        "RAPPORT_PERSONAL_VIEW": "on",
        "RAPPORT_FUTURE_TOLERANCE_S": "7",
        "RAPPORT_CLOCK_CLAMP_MAX_S": "8",
        "RAPPORT_WRITE_TIMEOUT_S": "9",
        "RAPPORT_STREAM_AGE_MAX_S": "10",
        "RAPPORT_CACHE_EVENTS_MAX": "11",
        "RAPPORT_MARK_INTERVAL_S": "14",
        "RAPPORT_DETECTOR": "thread",
        "RAPPORT_NATS_URL": f"tls://relay:{PASSWORD}@three:4222,nats://four:4222",
        "RAPPORT_NATS_LISTEN": "127.0.0.1:4222",
        "RAPPORT_NATS_CA_FILE": "/etc/nats/ca.pem",
        "RAPPORT_NATS_CERT_FILE": "/etc/nats/relay.pem",
        "RAPPORT_NATS_KEY_FILE": "/run/secrets/relay.key",
        "RAPPORT_NATS_REPLICAS": "3",
        "RAPPORT_NATS_MAX_AGE_S": "3600",
        "RAPPORT_NATS_MAX_BYTES": "1048576",
        "RAPPORT_RELAY_WINDOW": "12",
        "RAPPORT_RELAY_CHECK_INTERVAL_S": "13",
    }

    settings = from_environment(environ)

    assert {f"RAPPORT_{field.name.upper()}" for field in dataclasses.fields(Settings)} == set(environ)
    assert settings == from_environment(to_environment(settings))
    assert Settings() == from_environment(to_environment(Settings()))
    unchanged = [f.name for f in dataclasses.fields(Settings) if getattr(settings, f.name) == f.default]
    assert [] == unchanged
    assert f"postgresql://app:{PASSWORD}@one/rapport" == settings.store_address
    assert PASSWORD not in repr(settings)


def test_an_unknown_name_is_refused_with_the_names_that_are_close() -> None:
    with pytest.raises(SettingsError) as refused:
        from_environment({"RAPPORT_LISTN": "127.0.0.1:1", "RAPPORT_ZZZ": PASSWORD})

    assert "RAPPORT_LISTN is no setting; did you mean RAPPORT_LISTEN" in str(refused.value)
    assert "RAPPORT_ZZZ is no setting" in refused.value.faults
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("name", ["RAPPORT_TARGET", "RAPPORT_SHARED_DATA", "RAPPORT_TEST_FAULT", "RAPPORT_TEST_SEED"])
def test_names_that_speak_to_others_are_no_typing_errors(name: str) -> None:
    assert Settings() == from_environment({name: "anything"})


@pytest.mark.parametrize(
    "name, value",
    [
        ("RAPPORT_LISTEN", "50051"),
        ("RAPPORT_LISTEN", "localhost:http"),
        ("RAPPORT_LISTEN", "localhost:65536"),
        ("RAPPORT_LISTEN", ""),
        ("RAPPORT_METRICS_LISTEN", "9464"),
        ("RAPPORT_STORE_URL", f"mysql://{PASSWORD}@one"),
        ("RAPPORT_ENVIRONMENT", "staging"),
        ("RAPPORT_NATS_URL", "localhost:4222"),
        ("RAPPORT_NATS_URL", f"nats://one,http://{PASSWORD}@two"),
        ("RAPPORT_CALLS_MAX", "0"),
        ("RAPPORT_CALLS_MAX", "1.5"),
        ("RAPPORT_CALLS_MAX", "-1"),
        ("RAPPORT_CALLS_MAX", "²"),
        ("RAPPORT_CALLS_MAX", ""),
        ("RAPPORT_SHUTDOWN_GRACE_S", "nan"),
        ("RAPPORT_SHUTDOWN_GRACE_S", "inf"),
        ("RAPPORT_SHUTDOWN_GRACE_S", "-1"),
        ("RAPPORT_SHUTDOWN_GRACE_S", "soon"),
        ("RAPPORT_PERSONAL_VIEW", "true"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_the_variables_name_alone(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        from_environment({name: value})

    (fault,) = refused.value.faults
    assert fault.startswith(f"{name} must ")
    assert len(value) < 3 or value not in fault.removeprefix(f"{name} must ")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        from_environment({"RAPPORT_A": "", "RAPPORT_CALLS_MAX": "x", "RAPPORT_LISTEN": "x"})

    assert 3 == len(refused.value.faults)


@pytest.mark.parametrize(
    "environ, fault",
    [
        ({"RAPPORT_DEADLINE_DEFAULT_S": "61"}, "RAPPORT_DEADLINE_DEFAULT_S must be at most RAPPORT_DEADLINE_MAX_S"),
        ({"RAPPORT_ENVIRONMENT": "production"}, "RAPPORT_KEK_FILE must be set outside development"),
        ({"RAPPORT_NATS_REPLICAS": "2"}, "RAPPORT_NATS_REPLICAS must be 1, 3 or 5"),
        ({"RAPPORT_NATS_CERT_FILE": "/etc/relay.pem"}, "RAPPORT_NATS_KEY_FILE must be set together"),
        (
            {"RAPPORT_STORE_URL": "sqlite:///a.db", "RAPPORT_KEYS_URL": "sqlite:///a.db"},
            "RAPPORT_KEYS_URL must name another database",
        ),
        (
            {
                "RAPPORT_ENVIRONMENT": "production",
                "RAPPORT_KEK_FILE": "/kek",
                "RAPPORT_STORE_URL": "postgresql://a@one/x",
                "RAPPORT_KEYS_URL": "postgresql://b@one:5432/y",
            },
            "RAPPORT_KEYS_URL must name another server",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(environ: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        from_environment(environ)


def test_keys_beside_events_are_a_warning_in_development() -> None:
    settings = from_environment(
        {
            "RAPPORT_STORE_URL": "postgresql://one/x",
            "RAPPORT_KEYS_URL": "postgres://one/y",
            "RAPPORT_LISTEN": "0.0.0.0:1",
        }
    )

    assert ["one PostgreSQL server", "reachable from other machines"] == [
        part
        for part in ("one PostgreSQL server", "reachable from other machines")
        if any(part in warning for warning in warnings(settings))
    ]


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(PASSWORD)

    assert PASSWORD not in f"{secret!r} {secret} {[secret]}"
    assert PASSWORD == secret.reveal()


def test_every_setting_is_documented() -> None:
    tree = ast.parse(inspect.getsource(module))
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    documented = {
        field.target.id
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }

    assert {field.name for field in dataclasses.fields(Settings)} == documented


@pytest.mark.parametrize(
    "environ, warned",
    [
        ({}, ""),
        ({"RAPPORT_NATS_LISTEN": "0.0.0.0:4222"}, "whoever connects may publish"),
        ({"RAPPORT_NATS_LISTEN": "0.0.0.0:4222", "RAPPORT_NATS_URL": "off"}, ""),
        ({"RAPPORT_NATS_URL": "nats://one"}, ""),
        ({"RAPPORT_NATS_URL": "nats://one", "RAPPORT_ENVIRONMENT": "production"}, "nothing is encrypted"),
        ({"RAPPORT_NATS_URL": "tls://one", "RAPPORT_ENVIRONMENT": "production"}, ""),
    ],
)
def test_what_is_risky_about_nats_is_a_warning(environ: dict[str, str], warned: str) -> None:
    said = " ".join(warnings(from_environment({"RAPPORT_KEK_FILE": "/kek", **environ})))

    assert (warned in said) if warned else ("NATS" not in said)
