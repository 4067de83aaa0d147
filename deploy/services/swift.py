"""OpenStack Swift as an S3-compatible store on one disk, which checks signatures and takes uploads in parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

REGION = "us-east-1"
PORTS = ("cache", "account", "container", "object", "proxy")
# What a request passes through on its way in, first to last.
PIPELINE = ("catch_errors", "cache", "bulk", "s3api", "tempauth", "slo", "dlo", "proxy-server")


def rings(ports: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Swift's three kinds of rows and the port of the daemon that keeps each."""
    for ring in ("account", "container", "object"):
        yield ring, ports[ring]


def daemons(ports: Mapping[str, int]) -> Iterator[tuple[str, int | None]]:
    """The daemons in the order they start. The updater lists objects whose container was away when they came."""
    for ring, port in rings(ports):
        yield f"{ring}-server", port
    yield "object-updater", None
    yield "proxy-server", ports["proxy"]


def write_settings(folder: Path, ports: Mapping[str, int], runs_as: str, user: str, password: str) -> None:
    """Writes a settings file for each daemon. user: its account and name as `account:name`, S3's access key."""
    (folder / "disks" / "disk").mkdir(parents=True, exist_ok=True)
    common = {
        "user": runs_as,
        "swift_dir": folder,
        "devices": folder / "disks",
        "recon_cache_path": folder,
        "mount_check": "false",
        "workers": 0,
        "bind_ip": "127.0.0.1",
        "log_level": "WARNING",
        # The log goes to the console; its other place must be named, so it is the port that discards.
        "log_udp_host": "127.0.0.1",
        "log_udp_port": 9,
    }
    _write(
        folder / "swift.conf",
        {
            "swift-hash": {"swift_hash_path_prefix": "seamwise", "swift_hash_path_suffix": "test"},
            "storage-policy:0": {"name": "one", "default": "yes"},
        },
    )
    for ring, port in rings(ports):
        _write(
            folder / f"{ring}-server.conf",
            {
                "DEFAULT": {**common, "bind_port": port},
                "pipeline:main": {"pipeline": f"{ring}-server"},
                f"app:{ring}-server": {"use": f"egg:swift#{ring}"},
            },
        )
    _write(folder / "object-updater.conf", {"DEFAULT": common, "object-updater": {"interval": 15, "concurrency": 1}})
    _write(folder / "proxy-server.conf", _proxy(common, ports, user, password))


def _proxy(
    common: Mapping[str, object], ports: Mapping[str, int], user: str, password: str
) -> dict[str, Mapping[str, object]]:
    *filters, _ = PIPELINE
    more: dict[str, Mapping[str, object]] = {
        "cache": {"memcache_servers": f"127.0.0.1:{ports['cache']}"},
        "tempauth": {f"user_{user.replace(':', '_')}": f"{password} .admin"},
        "s3api": {"location": REGION, "s3_acl": "false"},
        "slo": {"minimum_segment_size": 1},
    }
    made = {
        name: {"use": f"egg:swift#{'memcache' if name == 'cache' else name}", **more.get(name, {})} for name in filters
    }
    return {
        "DEFAULT": {**common, "bind_port": ports["proxy"]},
        "pipeline:main": {"pipeline": " ".join(PIPELINE)},
        "app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": "true"},
        **{f"filter:{name}": settings for name, settings in made.items()},
    }


def _write(path: Path, sections: Mapping[str, Mapping[str, object]]) -> None:
    lines = [
        line
        for section, settings in sections.items()
        for line in (f"[{section}]", *(f"{name} = {value}" for name, value in settings.items()), "")
    ]
    path.write_text("\n".join(lines))
