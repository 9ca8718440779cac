BEGIN TRANSACTION;
CREATE TABLE access_key (
	id VARCHAR NOT NULL, 
	app VARCHAR NOT NULL, 
	hash VARCHAR NOT NULL, 
	scope VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	made BIGINT NOT NULL, 
	"by" VARCHAR, 
	revoked BIGINT, 
	protocol VARCHAR, 
	settings JSON NOT NULL, used BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (hash)
);
INSERT INTO "access_key" VALUES('84dea5be4848','shop','be1b062a7e90f3fe6645810e5b97f5def452018d475af3d3d5f6c5d7e4ad7bce','sdk','a key',1795210200000000,'test',NULL,NULL,'{}',NULL);
CREATE TABLE account (
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	role VARCHAR NOT NULL, 
	apps JSON NOT NULL, 
	made BIGINT NOT NULL, 
	"by" VARCHAR, 
	seen BIGINT, 
	password VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "account" VALUES('a1','ana','admin','["*"]',0,NULL,1795210200000000,NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE allowance (
	app VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	scope VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	made BIGINT NOT NULL, 
	until BIGINT, 
	"by" VARCHAR, 
	PRIMARY KEY (app, id)
);
INSERT INTO "allowance" VALUES('shop','a','ip','198.51.100.1','office',1795210200000000,NULL,NULL);
CREATE TABLE app (
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	made BIGINT NOT NULL, 
	identifiers JSON NOT NULL, 
	ipv6 INTEGER NOT NULL, 
	retention BIGINT, 
	settings JSON NOT NULL, 
	revision BIGINT NOT NULL, 
	floor BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "app" VALUES('shop','Shop',1795210200000000,'["id","user_id","uid","email","username","login"]',64,NULL,'{}',3,0);
CREATE TABLE audit (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at BIGINT NOT NULL, 
	app VARCHAR, 
	actor VARCHAR NOT NULL, 
	action VARCHAR NOT NULL, 
	target VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	detail JSON NOT NULL
);
INSERT INTO "audit" VALUES(1,1795210200000000,'shop','test','app.add','shop','','{}');
INSERT INTO "audit" VALUES(2,1795210200000000,'shop','test','key.add','84dea5be4848','','{"scope":"sdk","name":"a key"}');
INSERT INTO "audit" VALUES(3,1795210200000000,NULL,'test','account.put','ana','','{"role":"admin","apps":["*"]}');
INSERT INTO "audit" VALUES(4,1795210200000000,NULL,'account:ana','session.begin','ana','','{}');
INSERT INTO "audit" VALUES(5,1795210200000000,'shop','test','search.put','s1','','{"name":"a search"}');
INSERT INTO "audit" VALUES(6,1795210200000000,NULL,'test','setting.put','a.setting','','{}');
INSERT INTO "audit" VALUES(7,1795210200000000,'shop','ana','tested','x','','{}');
INSERT INTO "audit" VALUES(8,1795210200000000,'shop','test','allow.add','ip 198.51.100.1','office','{"until":null}');
INSERT INTO "audit" VALUES(9,1795210200000001,'shop','ana','decision.lift','user id:2','mistake','{"decision":"e"}');
INSERT INTO "audit" VALUES(10,1795210200000002,'shop','ana','person.cut','email:u1@x.example','','{"person":"id:1"}');
CREATE TABLE decision (
	app VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	scope VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	"to" VARCHAR, 
	made BIGINT NOT NULL, 
	until BIGINT, 
	reason VARCHAR NOT NULL, 
	playbook VARCHAR, 
	version VARCHAR, 
	finding VARCHAR, 
	"by" VARCHAR, 
	logins_only BOOLEAN NOT NULL, 
	subject VARCHAR, 
	parent VARCHAR, 
	added BIGINT NOT NULL, 
	removed BIGINT, 
	lifted BIGINT, 
	lifted_by VARCHAR, 
	lifted_why VARCHAR NOT NULL, 
	PRIMARY KEY (app, id)
);
INSERT INTO "decision" VALUES('shop','d','block','user','id:1',NULL,1795210200000000,NULL,'','p',NULL,'f',NULL,0,'id:1',NULL,1,NULL,NULL,NULL,'');
INSERT INTO "decision" VALUES('shop','e','block','user','id:2',NULL,1795210200000000,NULL,'','p',NULL,NULL,NULL,0,'id:2',NULL,1,2,1795210200000001,'ana','mistake');
INSERT INTO "decision" VALUES('shop','59b9f2288879db5eab8f4e815a70485b','block','user','email:u1@x.example',NULL,1795210200000000,NULL,'','p',NULL,'f',NULL,0,'email:u1@x.example','d',1,3,1795210200000002,NULL,'the key was parted from its person');
CREATE TABLE draft (
	account VARCHAR NOT NULL, 
	file VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	mark VARCHAR NOT NULL, 
	changed BIGINT NOT NULL, 
	PRIMARY KEY (account, file)
);
CREATE TABLE finding (
	app VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	playbook VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	at BIGINT NOT NULL, 
	event_id VARCHAR NOT NULL, 
	user VARCHAR, 
	ip VARCHAR, 
	acted BOOLEAN NOT NULL, 
	body JSON NOT NULL, 
	opened BIGINT NOT NULL, 
	status VARCHAR NOT NULL, 
	note VARCHAR NOT NULL, 
	evidence INTEGER NOT NULL, 
	last BIGINT NOT NULL, 
	closed BIGINT, 
	undone BOOLEAN NOT NULL, 
	"by" VARCHAR, rank INTEGER GENERATED ALWAYS AS (CASE WHEN (CAST(JSON_EXTRACT(body, '$."severity"') AS VARCHAR) = 'info') THEN 0 WHEN (CAST(JSON_EXTRACT(body, '$."severity"') AS VARCHAR) = 'low') THEN 1 WHEN (CAST(JSON_EXTRACT(body, '$."severity"') AS VARCHAR) = 'medium') THEN 2 WHEN (CAST(JSON_EXTRACT(body, '$."severity"') AS VARCHAR) = 'high') THEN 3 WHEN (CAST(JSON_EXTRACT(body, '$."severity"') AS VARCHAR) = 'critical') THEN 4 END), 
	PRIMARY KEY (app, id), 
	CONSTRAINT finding_anchor UNIQUE (app, playbook, "key", at, event_id)
);
INSERT INTO "finding" VALUES('shop','f','p','f',1795210200000000,'ef','id:1','203.0.113.9',1,'{"version":"1","severity":"high","mode":"enforce","group":{"user":"id:1"},"tally":{"count":3,"avg.x":0.5},"threshold":{"count":">= 3"},"title":"A title","approximate":false,"historical":false,"effects":[{"kind":"block_user","target":"id:1","length":3600000000,"decisions":[{"id":"df","kind":"block","scope":"user","value":"id:1","to":null,"made":1795210200000000,"until":null,"reason":"","playbook":"p","version":null,"finding":"f","by":null,"logins_only":false}],"label":null,"channel":null,"held":null,"event":null},{"kind":"notify","target":null,"length":null,"decisions":[],"label":null,"channel":"security","held":null,"event":null},{"kind":"block_ip","target":"203.0.113.9","length":null,"decisions":[],"label":null,"channel":null,"held":"allowlisted","event":null}],"events":[]}',1795210200000000,'new','',1,1795210200000000,NULL,0,NULL);
CREATE TABLE identifier (
	app VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	person VARCHAR NOT NULL, 
	made BIGINT NOT NULL, 
	PRIMARY KEY (app, "key")
);
INSERT INTO "identifier" VALUES('shop','id:1','id:1',1795210200000000);
INSERT INTO "identifier" VALUES('shop','email:u1@x.example','email:u1@x.example',1795210200000000);
CREATE TABLE journal (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	app VARCHAR NOT NULL, 
	events INTEGER NOT NULL, 
	unchecked BOOLEAN NOT NULL, 
	body BLOB NOT NULL
);
INSERT INTO "journal" VALUES(1,'shop',30,0,X'0128B52FFD60DF0E8D0C00A410DC001E89A46E616D65A9706167652E76696577A26964A26530A26174CF000660BBF244A600A473656EA87265636569766564CF000660D0E6AFAA00AB6964656E7469666965727381A26964A130A475736572C0A26970AB3230332E302E3131332E39AA70726F7065727469657382A16E00A474657874A6C3A9E280A80031010131A469643A31013202023232023303033003340404043505050536060606370707073808080839090909A365310A0A310AA365310B0B32320BA365310C0C300CA365310D0D310D340E0E0E350F0F0F36101010371111113812121239131313323014141432311515153232161616331717173418181835191919361A1A1A371B1B1B381C1C1C391D1D1D8084A831E05BD8FF1903C0A34AC612C810381032C5173C42F010A3049687E2F9625DA21D53EA217C215BA5EFC479410D2B148813029188324425832C8DED972015750120CD15127C3CCAF01A842913FAA352C0C77CC0C94965460046E3521C890226FF840111298A7C395A7804F714745942FABBFCE1FB1462C1075E44337520E62A516C6A');
CREATE TABLE label (
	app VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	target VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	made BIGINT NOT NULL, 
	until BIGINT, 
	finding VARCHAR, 
	"by" VARCHAR, 
	PRIMARY KEY (app, kind, target, name)
);
INSERT INTO "label" VALUES('shop','user','id:1','vip',1795210200000000,NULL,NULL,NULL);
CREATE TABLE lease (
	name VARCHAR NOT NULL, 
	holder VARCHAR NOT NULL, 
	fence BIGINT NOT NULL, 
	until BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "lease" VALUES('jobs','holder',1,1796210200000000);
CREATE TABLE link_cut (
	app VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	person VARCHAR NOT NULL, 
	at BIGINT NOT NULL, 
	"by" VARCHAR NOT NULL, 
	PRIMARY KEY (app, "key", person)
);
INSERT INTO "link_cut" VALUES('shop','email:u1@x.example','id:1',1795210200000002,'ana');
CREATE TABLE one_time_link (
	hash VARCHAR NOT NULL, 
	purpose VARCHAR NOT NULL, 
	made BIGINT NOT NULL, 
	until BIGINT NOT NULL, 
	used BIGINT, 
	PRIMARY KEY (hash)
);
INSERT INTO "one_time_link" VALUES('0cce84d668e31e3feac59bbc031664f75187b7a99f2ac9ee535dd68ad44cc344','account:a1',1795210200000000,1796210200000000,NULL);
CREATE TABLE outbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	app VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	channel VARCHAR, 
	body JSON NOT NULL, 
	finding VARCHAR, 
	made BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at BIGINT NOT NULL, 
	error VARCHAR NOT NULL, 
	dead BOOLEAN NOT NULL, 
	done BIGINT, lane VARCHAR, bundle BIGINT, 
	CONSTRAINT outbox_key UNIQUE (app, "key")
);
INSERT INTO "outbox" VALUES(1,'shop','k','webhook','c','{"a":1}',NULL,1795210200000000,0,1795210200000000,'',0,NULL,NULL,NULL);
CREATE TABLE outbox_period (
	app VARCHAR NOT NULL, 
	channel VARCHAR NOT NULL, 
	lane VARCHAR NOT NULL, 
	since BIGINT NOT NULL, 
	told INTEGER NOT NULL, 
	bundle BIGINT, 
	PRIMARY KEY (app, channel, lane)
);
CREATE TABLE person (
	app VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	made BIGINT NOT NULL, 
	alias_of VARCHAR, 
	PRIMARY KEY (app, "key")
);
INSERT INTO "person" VALUES('shop','id:1',1795210200000000,NULL);
INSERT INTO "person" VALUES('shop','email:u1@x.example',1795210200000002,NULL);
CREATE TABLE playbook_version (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	app VARCHAR NOT NULL, 
	playbook VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	made BIGINT NOT NULL, 
	"by" VARCHAR
);
INSERT INTO "playbook_version" VALUES(1,'shop','p','1','playbook: p
',1795210200000000,NULL);
CREATE TABLE property (
	app VARCHAR NOT NULL, 
	path VARCHAR NOT NULL, 
	type VARCHAR NOT NULL, 
	first BIGINT NOT NULL, 
	last BIGINT NOT NULL, 
	conflicts BIGINT NOT NULL, 
	slot VARCHAR, 
	slot_from BIGINT NOT NULL, 
	PRIMARY KEY (app, path)
);
CREATE TABLE room_version (
	app VARCHAR NOT NULL, 
	room VARCHAR NOT NULL, 
	version BIGINT NOT NULL, 
	PRIMARY KEY (app, room)
);
CREATE TABLE search (
	app VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	q VARCHAR NOT NULL, 
	filters JSON NOT NULL, 
	owner VARCHAR NOT NULL, 
	made BIGINT NOT NULL, 
	changed BIGINT NOT NULL, 
	PRIMARY KEY (app, id)
);
INSERT INTO "search" VALUES('shop','s1','a search','not success','{}','',0,0);
CREATE TABLE session (
	hash VARCHAR NOT NULL, 
	account VARCHAR NOT NULL, 
	made BIGINT NOT NULL, 
	seen BIGINT NOT NULL, 
	until BIGINT NOT NULL, 
	PRIMARY KEY (hash)
);
INSERT INTO "session" VALUES('b51b0a2d7e3eca706339b3147ce1fc4ea02fe096f9b1e00feee13490c2d63be7','a1',1795210200000000,1795210200000000,1796210200000000);
CREATE TABLE setting (
	app VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	value JSON NOT NULL, 
	PRIMARY KEY (app, name)
);
INSERT INTO "setting" VALUES('','store.id','"7273c8bf63b531c0"');
INSERT INTO "setting" VALUES('','store.deletion-key','"9b1245d3318f62f3f198dc89917ca4b2e13b20c7187a924067453bb3a3cf572d"');
INSERT INTO "setting" VALUES('','a.setting','{"on":true}');
CREATE TABLE snapshot (
	app VARCHAR NOT NULL, 
	watch VARCHAR NOT NULL, 
	position BIGINT NOT NULL, 
	shape VARCHAR NOT NULL, 
	made BIGINT NOT NULL, 
	state BLOB NOT NULL, 
	PRIMARY KEY (app, watch)
);
INSERT INTO "snapshot" VALUES('shop','w',1,'shape',1795210200000000,X'28B52FFD20052900007374617465');
CREATE TABLE tombstone (
	app VARCHAR NOT NULL, 
	hash VARCHAR NOT NULL, 
	pseudonym VARCHAR NOT NULL, 
	at BIGINT NOT NULL, 
	open BOOLEAN NOT NULL, 
	erased BOOLEAN NOT NULL, 
	PRIMARY KEY (app, hash)
);
CREATE INDEX ix_access_key_app ON access_key (app);
CREATE INDEX ix_session_account ON session (account);
CREATE INDEX person_alias ON person (app, alias_of) WHERE alias_of IS NOT NULL;
CREATE INDEX identifier_person ON identifier (app, person);
CREATE INDEX finding_ip ON finding (app, ip, at, id);
CREATE INDEX finding_opened ON finding (app, opened, id);
CREATE INDEX finding_user ON finding (app, user, at, id);
CREATE INDEX decision_added ON decision (app, added);
CREATE INDEX decision_finding ON decision (app, finding) WHERE finding IS NOT NULL;
CREATE INDEX decision_lifted ON decision (lifted) WHERE lifted IS NOT NULL;
CREATE INDEX decision_made ON decision (app, made, id);
CREATE INDEX decision_parent ON decision (app, parent) WHERE parent IS NOT NULL;
CREATE INDEX decision_removed ON decision (app, removed) WHERE removed IS NOT NULL;
CREATE INDEX decision_subject ON decision (app, subject) WHERE subject IS NOT NULL;
CREATE INDEX decision_until ON decision (until) WHERE until IS NOT NULL;
CREATE INDEX decision_value ON decision (app, value, made, id);
CREATE INDEX outbox_dead ON outbox (app, dead, id);
CREATE INDEX audit_app ON audit (app, id);
CREATE INDEX playbook_history ON playbook_version (app, playbook, id);
CREATE INDEX outbox_due ON outbox (done, dead, lane, next_at);
CREATE INDEX outbox_lane ON outbox (app, channel, lane) WHERE lane IS NOT NULL;
CREATE INDEX outbox_bundle ON outbox (app, bundle) WHERE bundle IS NOT NULL;
CREATE INDEX decision_by ON decision (app, made, id) WHERE "by" IS NOT NULL;
CREATE INDEX decision_playbook ON decision (app, playbook, made, id) WHERE playbook IS NOT NULL;
CREATE INDEX finding_time ON finding (app, at, id, rank);
CREATE INDEX finding_status ON finding (app, status, at, id, rank);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit',10);
INSERT INTO "sqlite_sequence" VALUES('playbook_version',1);
INSERT INTO "sqlite_sequence" VALUES('journal',1);
INSERT INTO "sqlite_sequence" VALUES('outbox',1);
COMMIT;
