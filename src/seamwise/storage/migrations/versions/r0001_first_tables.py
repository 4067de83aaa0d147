"""The first tables, as SQL that both databases read: only ids and times are spelled differently."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WORDS = {
    "sqlite": {
        "ID": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
        "NUMBER": "INTEGER",
        "REAL": "DOUBLE",
        "TIME": "DATETIME",
    },
    "postgresql": {
        "ID": "BIGSERIAL NOT NULL PRIMARY KEY",
        "NUMBER": "BIGINT",
        "REAL": "DOUBLE PRECISION",
        "TIME": "TIMESTAMP WITH TIME ZONE",
    },
}
TABLES = """
CREATE TABLE audit_event (
    id {ID}, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, details TEXT,
    request_id TEXT, at {TIME} NOT NULL
);
CREATE TABLE domain (
    id {ID}, name TEXT NOT NULL, modality TEXT NOT NULL, classes TEXT NOT NULL, "ignore" {NUMBER},
    pitch_mm {REAL}, created_by TEXT NOT NULL, created_at {TIME} NOT NULL,
    CONSTRAINT uq_domain_name UNIQUE (name)
);
CREATE TABLE idempotency_key (
    actor TEXT NOT NULL, "key" TEXT NOT NULL, request_hash TEXT NOT NULL, record TEXT,
    created_at {TIME} NOT NULL,
    CONSTRAINT pk_idempotency_key PRIMARY KEY (actor, "key")
);
CREATE TABLE key (
    id {ID}, name TEXT NOT NULL, hash TEXT NOT NULL, role VARCHAR(20) NOT NULL,
    created_by TEXT NOT NULL, created_at {TIME} NOT NULL, expires_at {TIME}, revoked_at {TIME},
    CONSTRAINT uq_key_hash UNIQUE (hash),
    CONSTRAINT ck_key_role CHECK (role IN ('viewer', 'inspector', 'trainer', 'admin'))
);
CREATE TABLE object (
    sha256 TEXT NOT NULL, "key" TEXT NOT NULL, size {NUMBER} NOT NULL, created_at {TIME} NOT NULL,
    CONSTRAINT pk_object PRIMARY KEY (sha256),
    CONSTRAINT ck_object_size CHECK (size >= 0),
    CONSTRAINT uq_object_key UNIQUE ("key")
);
CREATE TABLE snapshot (
    id {ID}, kind VARCHAR(20) NOT NULL, digest TEXT NOT NULL, size {NUMBER} NOT NULL,
    spec TEXT NOT NULL, created_by TEXT NOT NULL, created_at {TIME} NOT NULL,
    CONSTRAINT ck_snapshot_snapshotkind CHECK (kind IN ('training', 'qualification'))
);
CREATE TABLE image (
    id {ID}, sha256 TEXT NOT NULL, object_sha256 TEXT, domain_id {NUMBER},
    source VARCHAR(20) NOT NULL, filename TEXT, width {NUMBER} NOT NULL, height {NUMBER} NOT NULL,
    bits {NUMBER} NOT NULL, modality TEXT, pitch_mm {REAL}, weld TEXT, part TEXT,
    side VARCHAR(20), guessed TEXT, captured_at {TIME}, received_by TEXT NOT NULL,
    received_at {TIME} NOT NULL, deleted_by TEXT, deleted_at {TIME},
    CONSTRAINT ck_image_tombstone CHECK ((deleted_at IS NULL) = (object_sha256 IS NOT NULL)),
    CONSTRAINT uq_image_sha256 UNIQUE (sha256),
    CONSTRAINT fk_image_object_sha256 FOREIGN KEY(object_sha256) REFERENCES object (sha256),
    CONSTRAINT fk_image_domain_id FOREIGN KEY(domain_id) REFERENCES domain (id),
    CONSTRAINT ck_image_source CHECK (source IN ('online', 'offline')),
    CONSTRAINT ck_image_side CHECK (side IN ('train', 'val', 'test'))
);
CREATE TABLE job (
    id {ID}, kind TEXT NOT NULL, queue TEXT NOT NULL, priority {NUMBER} NOT NULL, line TEXT,
    spec TEXT NOT NULL, created_by TEXT NOT NULL, state VARCHAR(20) NOT NULL,
    attempt {NUMBER} NOT NULL, counter {NUMBER} NOT NULL, fruitless {NUMBER} NOT NULL, worker TEXT,
    progress TEXT, checkpoint_sha256 TEXT, result TEXT, error TEXT, created_at {TIME} NOT NULL,
    queued_at {TIME} NOT NULL, started_at {TIME}, heartbeat_at {TIME}, finished_at {TIME},
    CONSTRAINT ck_job_running CHECK (state <> 'running' OR (attempt > 0 AND worker IS NOT NULL)),
    CONSTRAINT ck_job_finished CHECK ((state IN ('queued', 'running')) = (finished_at IS NULL)),
    CONSTRAINT ck_job_jobstate CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT fk_job_checkpoint_sha256 FOREIGN KEY(checkpoint_sha256) REFERENCES object (sha256)
);
CREATE TABLE qualification_set (
    id {ID}, domain_id {NUMBER} NOT NULL, number {NUMBER} NOT NULL, snapshot_id {NUMBER} NOT NULL,
    reason TEXT NOT NULL, created_by TEXT NOT NULL, created_at {TIME} NOT NULL,
    CONSTRAINT uq_qualification_set_domain_id_number UNIQUE (domain_id, number),
    CONSTRAINT fk_qualification_set_domain_id FOREIGN KEY(domain_id) REFERENCES domain (id),
    CONSTRAINT fk_qualification_set_snapshot_id FOREIGN KEY(snapshot_id) REFERENCES snapshot (id)
);
CREATE TABLE job_log (
    id {ID}, job_id {NUMBER} NOT NULL, attempt {NUMBER} NOT NULL, level TEXT NOT NULL,
    text TEXT NOT NULL, at {TIME} NOT NULL,
    CONSTRAINT fk_job_log_job_id FOREIGN KEY(job_id) REFERENCES job (id)
);
CREATE TABLE model_version (
    id {ID}, line TEXT NOT NULL, number {NUMBER} NOT NULL, parent_id {NUMBER}, snapshot_id {NUMBER},
    job_id {NUMBER}, strategy TEXT NOT NULL, spec TEXT NOT NULL, engine TEXT NOT NULL,
    weights_sha256 TEXT NOT NULL, state_sha256 TEXT, state_has_pixels BOOLEAN NOT NULL,
    exported_sha256 TEXT, serving_sha256 TEXT, environment TEXT NOT NULL, r_row TEXT, verdict TEXT,
    created_by TEXT NOT NULL, created_at {TIME} NOT NULL,
    CONSTRAINT uq_model_version_line_number UNIQUE (line, number),
    CONSTRAINT fk_model_version_parent_id FOREIGN KEY(parent_id) REFERENCES model_version (id),
    CONSTRAINT fk_model_version_snapshot_id FOREIGN KEY(snapshot_id) REFERENCES snapshot (id),
    CONSTRAINT fk_model_version_job_id FOREIGN KEY(job_id) REFERENCES job (id),
    CONSTRAINT fk_model_version_weights_sha256 FOREIGN KEY(weights_sha256) REFERENCES object (sha256),
    CONSTRAINT fk_model_version_state_sha256 FOREIGN KEY(state_sha256) REFERENCES object (sha256),
    CONSTRAINT fk_model_version_exported_sha256 FOREIGN KEY(exported_sha256) REFERENCES object (sha256),
    CONSTRAINT fk_model_version_serving_sha256 FOREIGN KEY(serving_sha256) REFERENCES object (sha256)
);
CREATE TABLE upload (
    id TEXT NOT NULL, state VARCHAR(20) NOT NULL, length {NUMBER}, received {NUMBER} NOT NULL,
    about TEXT NOT NULL, job_id {NUMBER}, object_sha256 TEXT, created_by TEXT NOT NULL,
    created_at {TIME} NOT NULL, expires_at {TIME} NOT NULL,
    CONSTRAINT pk_upload PRIMARY KEY (id),
    CONSTRAINT ck_upload_received CHECK (received >= 0 AND (length IS NULL OR received <= length)),
    CONSTRAINT ck_upload_uploadstate CHECK (state IN ('open', 'assembling', 'done', 'abandoned')),
    CONSTRAINT fk_upload_job_id FOREIGN KEY(job_id) REFERENCES job (id),
    CONSTRAINT fk_upload_object_sha256 FOREIGN KEY(object_sha256) REFERENCES object (sha256)
);
CREATE TABLE alias (
    name TEXT NOT NULL, model_id {NUMBER} NOT NULL, sequence {NUMBER} NOT NULL,
    changed_at {TIME} NOT NULL,
    CONSTRAINT pk_alias PRIMARY KEY (name),
    CONSTRAINT fk_alias_model_id FOREIGN KEY(model_id) REFERENCES model_version (id)
);
CREATE TABLE alias_history (
    id {ID}, alias TEXT NOT NULL, sequence {NUMBER}, action VARCHAR(20) NOT NULL, from_id {NUMBER},
    to_id {NUMBER} NOT NULL, reason TEXT NOT NULL, verdict TEXT, actor TEXT NOT NULL,
    at {TIME} NOT NULL,
    CONSTRAINT ck_alias_history_refusal CHECK ((action = 'refused') = (sequence IS NULL)),
    CONSTRAINT uq_alias_history_alias_sequence UNIQUE (alias, sequence),
    CONSTRAINT ck_alias_history_aliasaction CHECK (action IN ('promoted', 'forced', 'rolled back', 'refused')),
    CONSTRAINT fk_alias_history_from_id FOREIGN KEY(from_id) REFERENCES model_version (id),
    CONSTRAINT fk_alias_history_to_id FOREIGN KEY(to_id) REFERENCES model_version (id)
);
CREATE TABLE annotation (
    id {ID}, image_id {NUMBER} NOT NULL, number {NUMBER} NOT NULL, origin VARCHAR(20) NOT NULL,
    mask_sha256 TEXT, label TEXT, model_id {NUMBER}, made_by TEXT NOT NULL, made_at {TIME} NOT NULL,
    CONSTRAINT ck_annotation_mask_or_label CHECK (mask_sha256 IS NULL OR label IS NULL),
    CONSTRAINT uq_annotation_image_id_number UNIQUE (image_id, number),
    CONSTRAINT fk_annotation_image_id FOREIGN KEY(image_id) REFERENCES image (id),
    CONSTRAINT ck_annotation_origin CHECK (origin IN ('model', 'accepted', 'drawn')),
    CONSTRAINT fk_annotation_mask_sha256 FOREIGN KEY(mask_sha256) REFERENCES object (sha256),
    CONSTRAINT fk_annotation_model_id FOREIGN KEY(model_id) REFERENCES model_version (id)
);
CREATE TABLE evaluation (
    id {ID}, model_id {NUMBER} NOT NULL, snapshot_id {NUMBER} NOT NULL, job_id {NUMBER},
    engine TEXT NOT NULL, artefact_sha256 TEXT NOT NULL, summary TEXT NOT NULL,
    created_at {TIME} NOT NULL,
    CONSTRAINT fk_evaluation_model_id FOREIGN KEY(model_id) REFERENCES model_version (id),
    CONSTRAINT fk_evaluation_snapshot_id FOREIGN KEY(snapshot_id) REFERENCES snapshot (id),
    CONSTRAINT fk_evaluation_job_id FOREIGN KEY(job_id) REFERENCES job (id)
);
CREATE TABLE prediction (
    id {ID}, input_sha256 TEXT NOT NULL, image_id {NUMBER}, domain_id {NUMBER}, model_id {NUMBER} NOT NULL,
    job_id {NUMBER}, mask_sha256 TEXT, summary TEXT NOT NULL, watched BOOLEAN NOT NULL,
    created_by TEXT NOT NULL, created_at {TIME} NOT NULL,
    CONSTRAINT fk_prediction_image_id FOREIGN KEY(image_id) REFERENCES image (id),
    CONSTRAINT fk_prediction_domain_id FOREIGN KEY(domain_id) REFERENCES domain (id),
    CONSTRAINT fk_prediction_model_id FOREIGN KEY(model_id) REFERENCES model_version (id),
    CONSTRAINT fk_prediction_job_id FOREIGN KEY(job_id) REFERENCES job (id),
    CONSTRAINT fk_prediction_mask_sha256 FOREIGN KEY(mask_sha256) REFERENCES object (sha256)
);
CREATE TABLE round (
    id {ID}, line TEXT NOT NULL, number {NUMBER} NOT NULL, state VARCHAR(20) NOT NULL,
    cause TEXT NOT NULL, parent_id {NUMBER}, snapshot_id {NUMBER}, job_id {NUMBER}, model_id {NUMBER},
    figures TEXT, created_by TEXT NOT NULL, created_at {TIME} NOT NULL,
    CONSTRAINT uq_round_line_number UNIQUE (line, number),
    CONSTRAINT ck_round_roundstate CHECK (state IN ('proposed', 'started', 'finished', 'dismissed')),
    CONSTRAINT fk_round_parent_id FOREIGN KEY(parent_id) REFERENCES model_version (id),
    CONSTRAINT fk_round_snapshot_id FOREIGN KEY(snapshot_id) REFERENCES snapshot (id),
    CONSTRAINT fk_round_job_id FOREIGN KEY(job_id) REFERENCES job (id),
    CONSTRAINT fk_round_model_id FOREIGN KEY(model_id) REFERENCES model_version (id)
);
CREATE TABLE upload_part (
    upload_id TEXT NOT NULL, start {NUMBER} NOT NULL, object_sha256 TEXT NOT NULL,
    size {NUMBER} NOT NULL,
    CONSTRAINT pk_upload_part PRIMARY KEY (upload_id, start),
    CONSTRAINT fk_upload_part_upload_id FOREIGN KEY(upload_id) REFERENCES upload (id),
    CONSTRAINT fk_upload_part_object_sha256 FOREIGN KEY(object_sha256) REFERENCES object (sha256)
);
CREATE TABLE evaluation_image (
    evaluation_id {NUMBER} NOT NULL, position {NUMBER} NOT NULL, image_id {NUMBER} NOT NULL,
    counts TEXT NOT NULL,
    CONSTRAINT pk_evaluation_image PRIMARY KEY (evaluation_id, position),
    CONSTRAINT fk_evaluation_image_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluation (id),
    CONSTRAINT fk_evaluation_image_image_id FOREIGN KEY(image_id) REFERENCES image (id)
);
CREATE TABLE review (
    id {ID}, prediction_id {NUMBER} NOT NULL, annotation_id {NUMBER} NOT NULL, comment TEXT,
    created_by TEXT NOT NULL, created_at {TIME} NOT NULL,
    CONSTRAINT fk_review_prediction_id FOREIGN KEY(prediction_id) REFERENCES prediction (id),
    CONSTRAINT fk_review_annotation_id FOREIGN KEY(annotation_id) REFERENCES annotation (id)
);
CREATE TABLE snapshot_item (
    snapshot_id {NUMBER} NOT NULL, position {NUMBER} NOT NULL, image_id {NUMBER} NOT NULL,
    annotation_id {NUMBER} NOT NULL, side VARCHAR(20) NOT NULL,
    CONSTRAINT pk_snapshot_item PRIMARY KEY (snapshot_id, position),
    CONSTRAINT uq_snapshot_item_snapshot_id_image_id UNIQUE (snapshot_id, image_id),
    CONSTRAINT fk_snapshot_item_snapshot_id FOREIGN KEY(snapshot_id) REFERENCES snapshot (id),
    CONSTRAINT fk_snapshot_item_image_id FOREIGN KEY(image_id) REFERENCES image (id),
    CONSTRAINT fk_snapshot_item_annotation_id FOREIGN KEY(annotation_id) REFERENCES annotation (id),
    CONSTRAINT ck_snapshot_item_side CHECK (side IN ('train', 'val', 'test'))
);
CREATE TABLE image_features (
    image_id {NUMBER} NOT NULL, features TEXT NOT NULL,
    CONSTRAINT pk_image_features PRIMARY KEY (image_id),
    CONSTRAINT fk_image_features_image_id FOREIGN KEY(image_id) REFERENCES image (id)
);
CREATE TABLE domain_reference (
    domain_id {NUMBER} NOT NULL, state TEXT NOT NULL, images {NUMBER} NOT NULL, made_at {TIME} NOT NULL,
    CONSTRAINT pk_domain_reference PRIMARY KEY (domain_id),
    CONSTRAINT fk_domain_reference_domain_id FOREIGN KEY(domain_id) REFERENCES domain (id)
);
CREATE TABLE drift_monitor (
    domain_id {NUMBER} NOT NULL, state TEXT NOT NULL, evidence TEXT NOT NULL, sequence {NUMBER} NOT NULL,
    alarm TEXT, calibrated_by TEXT NOT NULL, changed_at {TIME} NOT NULL,
    CONSTRAINT pk_drift_monitor PRIMARY KEY (domain_id),
    CONSTRAINT fk_drift_monitor_domain_id FOREIGN KEY(domain_id) REFERENCES domain (id)
);
CREATE TABLE domain_proposal (
    id {ID}, state VARCHAR(20) NOT NULL, figures TEXT NOT NULL, domain_id {NUMBER},
    created_at {TIME} NOT NULL, closed_by TEXT, closed_at {TIME},
    CONSTRAINT fk_domain_proposal_domain_id FOREIGN KEY(domain_id) REFERENCES domain (id),
    CONSTRAINT ck_domain_proposal_proposalstate CHECK (state IN ('proposed', 'accepted', 'dismissed'))
);
"""
INDEXES = """
CREATE INDEX ix_audit_event_actor_id ON audit_event (actor, id);
CREATE INDEX ix_audit_event_subject_id ON audit_event (subject, id);
CREATE INDEX ix_idempotency_key_created_at ON idempotency_key (created_at);
CREATE INDEX ix_snapshot_digest ON snapshot (digest);
CREATE INDEX ix_snapshot_kind_id ON snapshot (kind, id);
CREATE INDEX ix_image_domain_id_id ON image (domain_id, id);
CREATE INDEX ix_image_domain_id_side_id ON image (domain_id, side, id);
CREATE INDEX ix_image_domain_id_part_id ON image (domain_id, part, id);
CREATE INDEX ix_image_object_sha256 ON image (object_sha256);
CREATE INDEX ix_image_weld_id ON image (weld, id);
CREATE INDEX ix_job_checkpoint_sha256 ON job (checkpoint_sha256);
CREATE INDEX ix_job_claim ON job (queue, priority, id) WHERE state = 'queued';
CREATE INDEX ix_job_kind_id ON job (kind, id);
CREATE INDEX ix_job_kind_state_id ON job (kind, state, id);
CREATE INDEX ix_job_line_id ON job (line, id);
CREATE INDEX ix_job_state_id ON job (state, id);
CREATE INDEX ix_job_state_queued_at_id ON job (state, queued_at, id);
CREATE UNIQUE INDEX uq_job_unfinished_line ON job (line) WHERE state IN ('queued', 'running');
CREATE INDEX ix_job_log_job_id_id ON job_log (job_id, id);
CREATE INDEX ix_model_version_exported_sha256 ON model_version (exported_sha256);
CREATE INDEX ix_model_version_serving_sha256 ON model_version (serving_sha256);
CREATE INDEX ix_model_version_job_id ON model_version (job_id);
CREATE INDEX ix_model_version_line_id ON model_version (line, id);
CREATE INDEX ix_model_version_state_sha256 ON model_version (state_sha256);
CREATE INDEX ix_model_version_weights_sha256 ON model_version (weights_sha256);
CREATE INDEX ix_upload_object_sha256 ON upload (object_sha256);
CREATE INDEX ix_upload_state_expires_at ON upload (state, expires_at);
CREATE INDEX ix_alias_history_alias_id ON alias_history (alias, id);
CREATE INDEX ix_annotation_mask_sha256 ON annotation (mask_sha256);
CREATE INDEX ix_evaluation_model_id_snapshot_id_id ON evaluation (model_id, snapshot_id, id);
CREATE INDEX ix_domain_proposal_state_id ON domain_proposal (state, id);
CREATE INDEX ix_prediction_domain_id_id ON prediction (domain_id, id);
CREATE INDEX ix_prediction_image_id_id ON prediction (image_id, id);
CREATE INDEX ix_prediction_input_sha256 ON prediction (input_sha256);
CREATE INDEX ix_prediction_job_id_id ON prediction (job_id, id);
CREATE INDEX ix_prediction_mask_sha256 ON prediction (mask_sha256);
CREATE INDEX ix_prediction_model_id_id ON prediction (model_id, id);
CREATE INDEX ix_prediction_unwatched ON prediction (domain_id, id) WHERE NOT watched;
CREATE INDEX ix_round_job_id ON round (job_id);
CREATE INDEX ix_round_line_id ON round (line, id);
CREATE INDEX ix_upload_part_object_sha256 ON upload_part (object_sha256);
CREATE INDEX ix_review_annotation_id ON review (annotation_id);
CREATE INDEX ix_review_prediction_id_id ON review (prediction_id, id);
CREATE INDEX ix_snapshot_item_image_id ON snapshot_item (image_id);
"""
APPEND_ONLY = ("audit_event", "alias_history", "snapshot", "snapshot_item", "qualification_set")
SQLITE_TRIGGER = """
CREATE TRIGGER {table}_no_{change} BEFORE {change} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
POSTGRESQL_FUNCTION = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$
"""
POSTGRESQL_TRIGGER = """
CREATE TRIGGER {table}_no_{change} BEFORE {change} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    for statement in (TABLES + INDEXES).format(**WORDS[dialect]).split(";\n"):
        if statement.strip():
            op.execute(statement)
    if dialect == "sqlite":
        _protect(SQLITE_TRIGGER, ("update", "delete"))
    else:
        op.execute(POSTGRESQL_FUNCTION)
        _protect(POSTGRESQL_TRIGGER, ("update", "delete", "truncate"))


def _protect(trigger: str, changes: tuple[str, ...]) -> None:
    for table in APPEND_ONLY:
        for change in changes:
            op.execute(trigger.format(table=table, change=change))
