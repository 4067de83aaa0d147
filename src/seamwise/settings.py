"""Settings of the platform: environment variables named SEAMWISE_..., with defaults for one machine."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import quote

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from seamwise.errors import UsageError


def _data_folder() -> Path:
    # Not the working folder: `seamwise serve` and `seamwise worker` find each other from anywhere.
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "seamwise"


class Settings(BaseSettings):
    """Where the platform keeps things: without any variable all of it lives in one folder and one process.

    data: folder of the embedded files.
    database_url: sqlite:////folder/file.db or postgresql://user:password@host/name.
    objects_url: file:///folder or s3://bucket/prefix?endpoint=https://host&region=us-east-1.
    queue_url: local: or redis://host:6379/0.
    secret_key: signs sessions; at least 32 characters.
    lease_s: seconds without a sign of life after which a job's worker counts as gone.
    """

    model_config = SettingsConfigDict(env_prefix="SEAMWISE_", frozen=True, validate_default=True)

    data: Path = Field(default_factory=_data_folder)
    # Addresses may hold passwords: they show up in no log.
    database_url: str = Field(default="", repr=False)
    objects_url: str = Field(default="", repr=False)
    queue_url: str = Field(default="local:", repr=False)
    secret_key: SecretStr | None = Field(default=None, min_length=32)
    lease_s: float = Field(default=60.0, gt=0)

    def model_post_init(self, _context: object) -> None:
        folder = self.data.expanduser().absolute()
        for name, value in (
            ("data", folder),
            ("database_url", self.database_url or f"sqlite:///{quote(str(folder / 'seamwise.db'))}"),
            ("objects_url", self.objects_url or f"file://{quote(str(folder / 'objects'))}"),
        ):
            object.__setattr__(self, name, value)

    def signing_key(self) -> str:
        """The secret key; beside a SQLite database it is made on first use. UsageError where one must be set."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value()
        if not self.database_url.startswith("sqlite"):
            raise UsageError(
                "SEAMWISE_SECRET_KEY is not set: all processes on a database server must share one; make it with "
                "`openssl rand -hex 32`"
            )
        return _kept_key(self.data / "secret.key")


def read_settings() -> Settings:
    """The settings of this process's environment; UsageError names the variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = "_".join(("SEAMWISE", *(str(part) for part in first["loc"]))).upper()
        raise UsageError(f"{name}: {first['msg']}") from None


def _kept_key(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".part-{secrets.token_hex(8)}")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(beside)  # of two processes that start at once, the first one's key stays
        except FileExistsError:
            pass
        finally:
            beside.unlink()
    return path.read_text().strip()
