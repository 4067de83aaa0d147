"""Settings of the platform: environment variables named SEAMWISE_..., with defaults for one machine."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from seamwise.errors import UsageError


def _data_folder() -> Path:
    """Not the working folder: `seamwise serve` and `seamwise worker` find each other from anywhere."""
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "seamwise"


def _listed(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _from_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


# In the environment: values with commas between them, and an object as JSON.
Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
FromJson = Annotated[dict[str, Any], NoDecode, BeforeValidator(_from_json)]
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Settings(BaseSettings):
    """Where the platform keeps things and how it behaves: without any variable all lives in one folder and one process.

    data: folder of the embedded files.
    database_url: sqlite:////folder/file.db or postgresql://user:password@host/name.
    objects_url: file:///folder or s3://bucket/prefix?endpoint=https://host&region=us-east-1.
    queue_url: local: or redis://host:6379/0.
    secret_key: signs sessions; at least 32 characters.
    lease_s: seconds without a sign of life after which a job's worker counts as gone.

    host, port: where `seamwise serve` listens. allowed_hosts: names under which it may be called, * for any; none:
    those of the loopback address when it listens there, else any. rate_limit: requests a key may make, as
    NUMBER/second, minute or hour; empty: any number. patience_s: seconds a job may wait before `/ready` says so.
    log_format: lines of JSON, or text for people. log_level: the least that is logged.

    max_image_mb, max_pixels: of one picture. max_request_mb: of all pictures of one request. max_upload_gb: of a file
    that comes in pieces. import_folders: folders of the server from which sets may be imported.

    threads: of a training or evaluating process; half of the cores unless set.
    predict_threads: predictions computed at the same time.
    keep_predictions: which predicted images are kept. sample_rate: the share that `sampled` keeps.
    uncertain_below: the confidence under which `uncertain` keeps one.
    guess_confidence: the least with which a guessed domain is taken.
    drift_images_between_false_alarms: on average at least, in each domain; fewer see a change sooner.

    trigger_reviews: new reviews of a domain that ask for a round; 0: never. trigger_hours: hours since the last round
    that ask for one when there is anything new; 0: never. trigger_drift: whether a drift alarm asks for one.
    trigger_policy: whether a round that is asked for is proposed or started.
    gate: what differs from the gate's own thresholds, as JSON. auto_promote: whether a passed verdict promotes.
    """

    model_config = SettingsConfigDict(env_prefix="SEAMWISE_", frozen=True, validate_default=True)

    data: Annotated[Path, BeforeValidator(lambda value: value or _data_folder())] = Field(default_factory=_data_folder)
    # Addresses may hold passwords: they show up in no log.
    database_url: str = Field(default="", repr=False)
    objects_url: str = Field(default="", repr=False)
    queue_url: str = Field(default="local:", repr=False)
    secret_key: SecretStr | None = Field(default=None, min_length=32)
    lease_s: float = Field(default=60.0, gt=0, le=86_400)

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    allowed_hosts: Listed = ()
    rate_limit: str = Field(default="6000/minute", pattern=r"^([1-9]\d{0,8}/(second|minute|hour))?$")
    patience_s: float = Field(default=600.0, gt=0, le=1e9)
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    max_image_mb: float = Field(default=64.0, gt=0, le=1e6)
    max_pixels: int = Field(default=200_000_000, gt=0)
    max_request_mb: float = Field(default=1024.0, gt=0, le=1e6)
    max_upload_gb: float = Field(default=64.0, gt=0, le=1e6)
    import_folders: Listed = ()

    threads: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 2), ge=1)
    predict_threads: int = Field(default=1, ge=1)
    keep_predictions: Literal["all", "uncertain", "sampled", "none"] = "all"
    sample_rate: float = Field(default=0.1, ge=0, le=1)
    uncertain_below: float = Field(default=0.9, ge=0, le=1)
    guess_confidence: float = Field(default=0.8, ge=0, le=1)
    drift_images_between_false_alarms: float = Field(default=5000.0, ge=1, le=1e9)

    trigger_reviews: int = Field(default=20, ge=0)
    trigger_hours: float = Field(default=0.0, ge=0, le=1e6)
    trigger_drift: bool = True
    trigger_policy: Literal["propose", "start"] = "propose"
    gate: FromJson = Field(default_factory=dict)
    auto_promote: bool = False

    def model_post_init(self, _context: object) -> None:
        folder = self.data.expanduser().absolute()
        for name, value in (
            ("data", folder),
            ("database_url", self.database_url or f"sqlite:///{quote(str(folder / 'seamwise.db'))}"),
            ("objects_url", self.objects_url or f"file://{quote(str(folder / 'objects'))}"),
        ):
            object.__setattr__(self, name, value)

    @property
    def embedded(self) -> bool:
        """Whether the database is a file of this machine, and the process looks after it by itself."""
        return self.database_url.startswith("sqlite")

    def hosts(self) -> tuple[str, ...]:
        """The names under which the service may be called; ("*",) for any."""
        return self.allowed_hosts or ((*LOOPBACK, self.host) if _is_loopback(self.host) else ("*",))

    def signing_key(self) -> str:
        """The secret key; beside a SQLite database it is made on first use. UsageError where one must be set."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value()
        if not self.embedded:
            raise UsageError(
                "SEAMWISE_SECRET_KEY is not set: all processes on a database server must share one; make it with "
                "`openssl rand -hex 32`"
            )
        return kept_secret(self.data / "secret.key", lambda: secrets.token_hex(32))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host in LOOPBACK


def read_settings() -> Settings:
    """The settings of this process's environment; UsageError names the variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = "_".join(("SEAMWISE", *(str(part) for part in first["loc"]))).upper()
        raise UsageError(f"{name}: {first['msg']}") from None


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """The secret that a file keeps, readable by its owner alone; made on first use, one for all who ask at once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".part-{secrets.token_hex(8)}")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(beside)  # of two processes that start at once, the first one's stays
        except FileExistsError:
            pass
        finally:
            beside.unlink()
    return path.read_text().strip()
