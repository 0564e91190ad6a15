PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE ban (
	id INTEGER NOT NULL, 
	email VARCHAR, 
	list_id VARCHAR, 
	PRIMARY KEY (id)
);
INSERT INTO ban VALUES(1,'^.*@spam\.example$',NULL);
INSERT INTO ban VALUES(2,'troll@example.net','news.lists.example.com');
CREATE TABLE uid (
	id INTEGER NOT NULL, 
	uid CHAR(32), 
	PRIMARY KEY (id)
);
CREATE TABLE preferences (
	id INTEGER NOT NULL, 
	acknowledge_posts BOOLEAN, 
	hide_address BOOLEAN, 
	preferred_language VARCHAR, 
	receive_list_copy BOOLEAN, 
	receive_own_postings BOOLEAN, 
	delivery_mode INTEGER, 
	delivery_status INTEGER, 
	PRIMARY KEY (id), 
	CHECK (acknowledge_posts IN (0, 1)), 
	CHECK (hide_address IN (0, 1)), 
	CHECK (receive_list_copy IN (0, 1)), 
	CHECK (receive_own_postings IN (0, 1))
);
INSERT INTO preferences VALUES(1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(2,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(3,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(4,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(5,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(6,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(7,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(8,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(9,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(10,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(11,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(12,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(13,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(14,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(15,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(16,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(17,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(18,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(19,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(20,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(21,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(22,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(23,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(24,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(25,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(26,1,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO preferences VALUES(123,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(124,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(125,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(126,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(127,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(128,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(129,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(130,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(131,NULL,NULL,NULL,NULL,NULL,NULL,2);
INSERT INTO preferences VALUES(132,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(133,NULL,NULL,'en',NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(134,NULL,NULL,'en',NULL,NULL,1,NULL);
INSERT INTO preferences VALUES(135,NULL,NULL,'en',NULL,NULL,1,NULL);
INSERT INTO preferences VALUES(136,NULL,NULL,'en',NULL,NULL,1,NULL);
INSERT INTO preferences VALUES(137,NULL,NULL,'en',NULL,NULL,1,NULL);
INSERT INTO preferences VALUES(138,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(139,NULL,NULL,'en',NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(140,NULL,NULL,'en',NULL,NULL,1,NULL);
INSERT INTO preferences VALUES(141,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(142,NULL,NULL,'en',NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(143,NULL,NULL,'en',NULL,NULL,1,NULL);
INSERT INTO preferences VALUES(144,NULL,NULL,'en',NULL,NULL,1,NULL);
INSERT INTO preferences VALUES(145,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(146,NULL,NULL,'en',NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(147,NULL,NULL,'en',NULL,NULL,1,NULL);
INSERT INTO preferences VALUES(148,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(149,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(150,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(151,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(152,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(153,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(154,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(155,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(156,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(157,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(158,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(159,NULL,0,'de',NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(160,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO preferences VALUES(161,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE pended (
	id INTEGER NOT NULL, 
	token VARCHAR, 
	expiration_date DATETIME, 
	PRIMARY KEY (id)
);
CREATE TABLE bounceevent (
	id INTEGER NOT NULL, 
	list_id VARCHAR, 
	email VARCHAR, 
	timestamp DATETIME, 
	message_id VARCHAR, 
	context INTEGER, 
	processed BOOLEAN, 
	PRIMARY KEY (id), 
	CHECK (processed IN (0, 1))
);
CREATE TABLE file_cache (
	id INTEGER NOT NULL, 
	"key" VARCHAR, 
	file_id VARCHAR, 
	is_bytes BOOLEAN, 
	created_on DATETIME, 
	expires_on DATETIME, 
	PRIMARY KEY (id), 
	CHECK (is_bytes IN (0, 1))
);
CREATE TABLE domain (
	id INTEGER NOT NULL, 
	mail_host VARCHAR, 
	description VARCHAR, 
	alias_domain VARCHAR, base_url VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (mail_host)
);
INSERT INTO domain VALUES(1,'lists.example.com','Listen der Firma',NULL,NULL);
INSERT INTO domain VALUES(2,'club.example.org',NULL,'x.club.example.org',NULL);
CREATE TABLE message (
	id INTEGER NOT NULL, 
	message_id VARCHAR, 
	message_id_hash VARCHAR, 
	path VARCHAR, 
	PRIMARY KEY (id)
);
CREATE TABLE template (
	id INTEGER NOT NULL, 
	name VARCHAR, 
	context VARCHAR, 
	uri VARCHAR, 
	username VARCHAR, 
	password VARCHAR, 
	PRIMARY KEY (id)
);
INSERT INTO template VALUES(1,'list:user:notice:welcome','news.lists.example.com','mailman:///news.lists.example.com/de/welcome.txt',NULL,'');
INSERT INTO template VALUES(2,'list:member:digest:footer','lists.example.com','http://templates.example.com/footer.txt','reader','Vorlage-Geheim-338');
CREATE TABLE workflowstate (
	token VARCHAR NOT NULL, 
	step VARCHAR, 
	data VARCHAR, 
	PRIMARY KEY (token)
);
CREATE TABLE contentfilter (
	id INTEGER NOT NULL, 
	mailing_list_id INTEGER, 
	filter_type INTEGER, 
	filter_pattern VARCHAR, 
	PRIMARY KEY (id), 
	FOREIGN KEY(mailing_list_id) REFERENCES mailinglist (id)
);
INSERT INTO contentfilter VALUES(1,1,1,'text/plain');
INSERT INTO contentfilter VALUES(2,1,1,'multipart/alternative');
INSERT INTO contentfilter VALUES(3,1,2,'exe');
INSERT INTO contentfilter VALUES(4,1,2,'scr');
CREATE TABLE acceptablealias (
	id INTEGER NOT NULL, 
	mailing_list_id INTEGER NOT NULL, 
	alias VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(mailing_list_id) REFERENCES mailinglist (id)
);
INSERT INTO acceptablealias VALUES(1,1,'zeitung@lists.example.com');
INSERT INTO acceptablealias VALUES(2,1,'^news-.*@old\.example\.com');
CREATE TABLE listarchiver (
	id INTEGER NOT NULL, 
	mailing_list_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	_is_enabled BOOLEAN, 
	PRIMARY KEY (id), 
	FOREIGN KEY(mailing_list_id) REFERENCES mailinglist (id), 
	CHECK (_is_enabled IN (0, 1))
);
INSERT INTO listarchiver VALUES(1,2,'mhonarc',0);
INSERT INTO listarchiver VALUES(2,2,'mail-archive',0);
INSERT INTO listarchiver VALUES(3,2,'prototype',0);
CREATE TABLE headermatch (
	id INTEGER NOT NULL, 
	mailing_list_id INTEGER NOT NULL, 
	position INTEGER, 
	header VARCHAR, 
	pattern VARCHAR, 
	chain VARCHAR, 
	tag VARCHAR, 
	PRIMARY KEY (id), 
	FOREIGN KEY(mailing_list_id) REFERENCES mailinglist (id)
);
INSERT INTO headermatch VALUES(1,1,0,'x-spam-flag','YES','discard',NULL);
INSERT INTO headermatch VALUES(2,1,1,'x-origin','^shop','hold',NULL);
CREATE TABLE pendedkeyvalue (
	id INTEGER NOT NULL, 
	"key" VARCHAR, 
	value VARCHAR, 
	pended_id INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(pended_id) REFERENCES pended (id)
);
CREATE TABLE _request (
	id INTEGER NOT NULL, 
	"key" VARCHAR, 
	request_type INTEGER, 
	data_hash VARCHAR, 
	mailing_list_id INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(mailing_list_id) REFERENCES mailinglist (id)
);
CREATE TABLE user (
	id INTEGER NOT NULL, 
	display_name VARCHAR, 
	password VARCHAR, 
	_user_id CHAR(32), 
	_created_on DATETIME, 
	is_server_owner BOOLEAN, 
	_preferred_address_id INTEGER, 
	preferences_id INTEGER, 
	PRIMARY KEY (id), 
	CHECK (is_server_owner IN (0, 1)), 
	CONSTRAINT _preferred_address FOREIGN KEY(_preferred_address_id) REFERENCES address (id) ON DELETE SET NULL, 
	FOREIGN KEY(preferences_id) REFERENCES preferences (id)
);
INSERT INTO user VALUES(1,'',NULL,'86c1f14e342e41b78556f8232381c9ba','2026-11-22 23:37:25.078586',0,NULL,2);
INSERT INTO user VALUES(2,'Leserin 0',NULL,'b683ce29bc8f4fa2b9a3431ff8a8c9f1','2026-11-22 23:37:25.682479',0,NULL,4);
INSERT INTO user VALUES(3,'Leserin 1',NULL,'4ed515e662b54a5e92e5a6552564ddf6','2026-11-22 23:37:25.731560',0,NULL,7);
INSERT INTO user VALUES(4,'Leserin 2',NULL,'fe328a3e3e7c40fc9f249f5f3a7df0bf','2026-11-22 23:37:25.855742',0,NULL,10);
INSERT INTO user VALUES(5,'Leserin 3',NULL,'2d72aa22f76c4d448257e2c2d93ea67f','2026-11-22 23:37:25.909564',0,NULL,13);
INSERT INTO user VALUES(6,'Leserin 4',NULL,'0efaec4c9b2b497a872de98c8461f86b','2026-11-22 23:37:25.957593',0,NULL,16);
INSERT INTO user VALUES(7,'Leserin 5',NULL,'f1e67604f5f941b9b54f9a06e64b7a45','2026-11-22 23:37:26.013658',0,NULL,19);
INSERT INTO user VALUES(8,'Leserin 6',NULL,'8f1dca3fb97247698bfd780061aa3d59','2026-11-22 23:37:26.130164',0,NULL,22);
INSERT INTO user VALUES(9,'Leserin 7',NULL,'8d5513e7365d431290e9bd999ea0e392','2026-11-22 23:37:26.183217',0,NULL,25);
INSERT INTO user VALUES(42,'Jürgen Groß',NULL,'04a771ede35a4527b45b23665f97c929','2026-11-22 23:37:28.769337',0,NULL,124);
INSERT INTO user VALUES(43,'Digest',NULL,'313e81b303444b0589b0e1e9be24f88c','2026-11-22 23:37:28.820518',0,NULL,127);
INSERT INTO user VALUES(44,'Away',NULL,'8ef1808e643242eab616ee764838c904','2026-11-22 23:37:28.878356',0,NULL,130);
INSERT INTO user VALUES(45,'The Owner',NULL,'dd5de451641840cc921761171b51cb3d','2026-11-22 23:37:28.937553',0,NULL,133);
INSERT INTO user VALUES(46,'',NULL,'64d73d4c3c57407e9b4a954c5e0edd35','2026-11-22 23:37:29.034029',0,NULL,139);
INSERT INTO user VALUES(47,'Mod',NULL,'cc695e8897214d64bebceba6ecc1212d','2026-11-22 23:37:29.056744',0,NULL,142);
INSERT INTO user VALUES(48,'',NULL,'3bf73ea09e2645579544efc382c719f8','2026-11-22 23:37:29.116466',0,NULL,146);
INSERT INTO user VALUES(49,'Ann',NULL,'c2cd7d2bc7044fd8a42bc40110f5af5a','2026-11-22 23:37:29.145047',0,NULL,149);
INSERT INTO user VALUES(50,'Bob',NULL,'f24ba8a3976145cc8b51d4dad0578517','2026-11-22 23:37:29.192242',0,NULL,152);
INSERT INTO user VALUES(51,'Cem',NULL,'0ff2f30a742f4b0f876ca38bffeea504','2026-11-22 23:37:29.246262',0,NULL,155);
INSERT INTO user VALUES(52,'Lena Ö.','$6$rounds=656000$jOJFv1sIl1PpeVo5$0OgcpDIov6lWAvcFGWaDeCiPqdB4Je0kVTbGJqeDkjKn.wvVW/R.XIdMa9pH3r0p/pzRr68LPqoxyd9ajc/Qv.','8826f65b3b4943d48efea4a335b9da2c','2026-11-22 23:37:29.334021',0,52,159);
CREATE TABLE address (
	id INTEGER NOT NULL, 
	email VARCHAR, 
	_original VARCHAR, 
	display_name VARCHAR, 
	verified_on DATETIME, 
	registered_on DATETIME, 
	user_id INTEGER, 
	preferences_id INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(user_id) REFERENCES user (id), 
	FOREIGN KEY(preferences_id) REFERENCES preferences (id)
);
INSERT INTO address VALUES(1,'hostmaster@example.com',NULL,'',NULL,'2026-11-22 23:37:25.078168',1,1);
INSERT INTO address VALUES(2,'reader00@example.net',NULL,'Leserin 0','2026-11-22 23:37:25.693368','2026-11-22 23:37:25.677331',2,3);
INSERT INTO address VALUES(3,'reader01@example.net',NULL,'Leserin 1','2026-11-22 23:37:25.745409','2026-11-22 23:37:25.725296',3,6);
INSERT INTO address VALUES(4,'reader02@example.net',NULL,'Leserin 2','2026-11-22 23:37:25.871269','2026-11-22 23:37:25.783546',4,9);
INSERT INTO address VALUES(5,'reader03@example.net',NULL,'Leserin 3','2026-11-22 23:37:25.921674','2026-11-22 23:37:25.903969',5,12);
INSERT INTO address VALUES(6,'reader04@example.net',NULL,'Leserin 4','2026-11-22 23:37:25.969089','2026-11-22 23:37:25.952585',6,15);
INSERT INTO address VALUES(7,'reader05@example.net',NULL,'Leserin 5','2026-11-22 23:37:26.043143','2026-11-22 23:37:26.001977',7,18);
INSERT INTO address VALUES(8,'reader06@example.net',NULL,'Leserin 6','2026-11-22 23:37:26.142799','2026-11-22 23:37:26.124131',8,21);
INSERT INTO address VALUES(9,'reader07@example.net',NULL,'Leserin 7','2026-11-22 23:37:26.196796','2026-11-22 23:37:26.177173',9,24);
INSERT INTO address VALUES(42,'juergen.gross@example.net','Juergen.Gross@Example.NET','Jürgen Groß','2026-11-22 23:37:28.782000','2026-11-22 23:37:28.764398',42,123);
INSERT INTO address VALUES(43,'digest@example.net',NULL,'Digest','2026-11-22 23:37:28.833601','2026-11-22 23:37:28.813372',43,126);
INSERT INTO address VALUES(44,'away@example.net',NULL,'Away','2026-11-22 23:37:28.901637','2026-11-22 23:37:28.872539',44,129);
INSERT INTO address VALUES(45,'owner@example.com',NULL,'The Owner',NULL,'2026-11-22 23:37:28.931891',45,132);
INSERT INTO address VALUES(46,'second-owner@example.com',NULL,'',NULL,'2026-11-22 23:37:29.028280',46,138);
INSERT INTO address VALUES(47,'moderator@example.com',NULL,'Mod',NULL,'2026-11-22 23:37:29.051484',47,141);
INSERT INTO address VALUES(48,'stranger@example.org',NULL,'',NULL,'2026-11-22 23:37:29.108755',48,145);
INSERT INTO address VALUES(49,'ann@example.com',NULL,'Ann','2026-11-22 23:37:29.153729','2026-11-22 23:37:29.139335',49,148);
INSERT INTO address VALUES(50,'bob@example.com',NULL,'Bob','2026-11-22 23:37:29.205052','2026-11-22 23:37:29.186203',50,151);
INSERT INTO address VALUES(51,'cem@example.com',NULL,'Cem','2026-11-22 23:37:29.260444','2026-11-22 23:37:29.239278',51,154);
INSERT INTO address VALUES(52,'lena@example.com',NULL,'Lena Ö.','2026-11-22 23:37:29.900978','2026-11-22 23:37:29.333818',52,158);
INSERT INTO address VALUES(53,'lena@private.example.net',NULL,'',NULL,'2026-11-22 23:37:29.881299',52,160);
CREATE TABLE domain_owner (
	user_id INTEGER NOT NULL, 
	domain_id INTEGER NOT NULL, 
	PRIMARY KEY (user_id, domain_id), 
	FOREIGN KEY(user_id) REFERENCES user (id), 
	FOREIGN KEY(domain_id) REFERENCES domain (id)
);
INSERT INTO domain_owner VALUES(1,1);
CREATE TABLE autoresponserecord (
	id INTEGER NOT NULL, 
	address_id INTEGER, 
	mailing_list_id INTEGER, 
	response_type INTEGER, 
	date_sent DATE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(address_id) REFERENCES address (id), 
	FOREIGN KEY(mailing_list_id) REFERENCES mailinglist (id)
);
CREATE TABLE member (
	id INTEGER NOT NULL, 
	_member_id CHAR(32), 
	role INTEGER, 
	list_id VARCHAR, 
	moderation_action INTEGER, 
	address_id INTEGER, 
	preferences_id INTEGER, 
	user_id INTEGER, 
	bounce_score INTEGER, 
	last_bounce_received DATETIME, 
	last_warning_sent DATETIME, 
	total_warnings_sent INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(address_id) REFERENCES address (id), 
	FOREIGN KEY(preferences_id) REFERENCES preferences (id), 
	FOREIGN KEY(user_id) REFERENCES user (id)
);
INSERT INTO member VALUES(1,'1f04ab3a14284583a53d9ecd1e0791a8',1,'news.lists.example.com',NULL,2,5,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(2,'3a84b7878f8d4b4eb037e442d62247e4',1,'news.lists.example.com',NULL,3,8,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(3,'74e8dc692d8641289a14304cc7a3c8b9',1,'news.lists.example.com',NULL,4,11,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(4,'4ca39d0323f248cdb5a9b3b9889efe4a',1,'news.lists.example.com',NULL,5,14,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(5,'9390202fd6274deeb7c0e3500dc25d0e',1,'news.lists.example.com',NULL,6,17,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(6,'20711f1c970f4c859005b77a0db2dc8b',1,'news.lists.example.com',NULL,7,20,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(7,'602fb4b0b9cc402db213d43888ee51e8',1,'news.lists.example.com',NULL,8,23,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(8,'eb2c49f8cdb742cea3e36c3c983eddcd',1,'news.lists.example.com',0,9,26,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(41,'033ae56f59774702b480a2b1e44c809a',1,'news.lists.example.com',NULL,42,125,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(42,'b3a0b5b2b42c4105bf444466efe5ad1c',1,'news.lists.example.com',NULL,43,128,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(43,'3b4d47aced5a4d3c9d056101c1a3910f',1,'news.lists.example.com',0,44,131,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(44,'4942c4d4d3eb47daa2280ea8328a5074',2,'news.lists.example.com',3,45,134,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(45,'d41ea9c8db654873ab497fef75b728b5',2,'staff.lists.example.com',3,45,135,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(46,'3bd0cf2739954faeb7426c880d651317',2,'announce.club.example.org',3,45,136,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(47,'81a987d9524f419ba38efbe2b1887029',2,'empty.club.example.org',3,45,137,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(48,'fc4a63582f0641249c0514921ecf28e9',2,'news.lists.example.com',3,46,140,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(49,'f77b46e771a14198a39b20c6676933ec',3,'news.lists.example.com',3,47,143,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(50,'21672adbe8da49de9c2338d93d9e9c94',3,'staff.lists.example.com',3,47,144,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(51,'a140c280c7e347508d2e566a915ba7b3',4,'news.lists.example.com',NULL,48,147,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(52,'5d7b4d9b7c7a4c91b8b52dbc1ebf2237',1,'staff.lists.example.com',NULL,49,150,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(53,'cb2f0306e3354170a6da69c495ee472c',1,'staff.lists.example.com',NULL,50,153,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(54,'b67537db8e834ea9bdb1fb021d834c13',1,'staff.lists.example.com',NULL,51,156,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(55,'3c6550f3bc904e249d4dccd3cab45d98',1,'announce.club.example.org',NULL,49,157,NULL,0,NULL,'0001-01-01 00:00:00.000000',0);
INSERT INTO member VALUES(56,'2eef707d47554fcf81dd6877ac1b5191',1,'staff.lists.example.com',NULL,NULL,161,52,0,NULL,'0001-01-01 00:00:00.000000',0);
CREATE TABLE onelastdigest (
	id INTEGER NOT NULL, 
	mailing_list_id INTEGER, 
	address_id INTEGER, 
	delivery_mode INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(mailing_list_id) REFERENCES mailinglist (id), 
	FOREIGN KEY(address_id) REFERENCES address (id)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES('8cc1f79f4459');
CREATE TABLE IF NOT EXISTS "mailinglist" (
	id INTEGER NOT NULL, 
	list_name VARCHAR, 
	mail_host VARCHAR, 
	list_id VARCHAR, 
	allow_list_posts BOOLEAN, 
	include_rfc2369_headers BOOLEAN, 
	advertised BOOLEAN, 
	anonymous_list BOOLEAN, 
	created_at DATETIME, 
	next_request_id INTEGER, 
	next_digest_number INTEGER, 
	digest_last_sent_at DATETIME, 
	volume INTEGER, 
	last_post_at DATETIME, 
	accept_these_nonmembers BLOB, 
	admin_immed_notify BOOLEAN, 
	admin_notify_mchanges BOOLEAN, 
	administrivia BOOLEAN, 
	archive_policy INTEGER, 
	autoresponse_grace_period DATETIME, 
	autorespond_owner INTEGER, 
	autoresponse_owner_text TEXT, 
	autorespond_postings INTEGER, 
	autoresponse_postings_text TEXT, 
	autorespond_requests INTEGER, 
	autoresponse_request_text TEXT, 
	filter_action INTEGER, 
	filter_content BOOLEAN, 
	collapse_alternatives BOOLEAN, 
	convert_html_to_plaintext BOOLEAN, 
	bounce_info_stale_after DATETIME, 
	bounce_matching_headers VARCHAR, 
	bounce_notify_owner_on_disable BOOLEAN, 
	bounce_notify_owner_on_removal BOOLEAN, 
	bounce_score_threshold INTEGER, 
	bounce_you_are_disabled_warnings INTEGER, 
	bounce_you_are_disabled_warnings_interval DATETIME, 
	forward_unrecognized_bounces_to INTEGER, 
	process_bounces BOOLEAN, 
	dmarc_mitigate_action INTEGER, 
	dmarc_mitigate_unconditionally BOOLEAN, 
	dmarc_moderation_notice VARCHAR, 
	dmarc_wrapped_message_text VARCHAR, 
	default_member_action INTEGER, 
	default_nonmember_action INTEGER, 
	description VARCHAR, 
	digests_enabled BOOLEAN, 
	digest_is_default BOOLEAN, 
	digest_send_periodic BOOLEAN, 
	digest_size_threshold FLOAT, 
	digest_volume_frequency INTEGER, 
	discard_these_nonmembers BLOB, 
	emergency BOOLEAN, 
	encode_ascii_prefixes BOOLEAN, 
	first_strip_reply_to BOOLEAN, 
	forward_auto_discards BOOLEAN, 
	gateway_to_mail BOOLEAN, 
	gateway_to_news BOOLEAN, 
	hold_these_nonmembers BLOB, 
	info TEXT, 
	linked_newsgroup VARCHAR, 
	max_days_to_hold INTEGER, 
	max_message_size INTEGER, 
	max_num_recipients INTEGER, 
	member_moderation_notice VARCHAR, 
	moderator_password BLOB, 
	newsgroup_moderation INTEGER, 
	nntp_prefix_subject_too BOOLEAN, 
	nonmember_rejection_notice VARCHAR, 
	obscure_addresses BOOLEAN, 
	owner_chain VARCHAR, 
	owner_pipeline VARCHAR, 
	personalize INTEGER, 
	post_id INTEGER, 
	posting_chain VARCHAR, 
	posting_pipeline VARCHAR, 
	preferred_language VARCHAR, 
	display_name VARCHAR, 
	reject_these_nonmembers BLOB, 
	reply_goes_to_list INTEGER, 
	reply_to_address VARCHAR, 
	require_explicit_destination BOOLEAN, 
	respond_to_post_requests BOOLEAN, 
	member_roster_visibility INTEGER, 
	scrub_nondigest BOOLEAN, 
	send_goodbye_message BOOLEAN, 
	send_welcome_message BOOLEAN, 
	subject_prefix VARCHAR, 
	subscription_policy INTEGER, 
	topics BLOB, 
	topics_bodylines_limit INTEGER, 
	topics_enabled BOOLEAN, 
	unsubscription_policy INTEGER, 
	usenet_watermark INTEGER, 
	archive_rendering_mode INTEGER, 
	bounce_notify_owner_on_bounce_increment BOOLEAN, dmarc_addresses BLOB, 
	PRIMARY KEY (id)
);
INSERT INTO mailinglist VALUES(1,'news','lists.example.com','news.lists.example.com',1,1,1,0,'2026-11-22 23:37:25.156242',1,1,NULL,1,NULL,X'80059562000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94288c1a5e2e2a40706172746e65725c2e6578616d706c655c2e6f726724948c10626f7373406578616d706c652e6e65749465859452942e',1,0,1,1,'1970-04-01 00:00:00.000000',2,'Wir sind im Urlaub.',0,'',0,'',2,1,1,0,'1970-01-08 00:00:00.000000',replace('\n# Lines that *start* with a ''#'' are comments.\nto: friend@public.com\nmessage-id: relay.comanche.denmark.eu\nfrom: list@listme.com\nfrom: .*@uplinkpro.com\n','\n',char(10)),1,1,9,3,'1970-01-08 00:00:00.000000',1,1,0,0,'','',4,1,'Neues & Wichtiges – «täglich»',1,0,1,30.0,1,X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e',0,0,0,1,0,0,X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e',replace('Erste Zeile\nzweite Zeile; mit "Anführung" und ''Hochkomma''','\n',char(10)),'',0,512,10,'',X'243624726f756e64733d363536303030244b6844776f6735307232516d5a666e6724684e33674367625668556f3630344b616773736f5539484c457038354d56447532644e72534b54686d39796351732e5135536f67422e507a6746646c386e3536416a4b4953545a39707738745530324e6a617554782e',0,1,'',1,'default-owner-chain','default-owner-pipeline',0,1,'default-posting-chain','default-posting-pipeline','en','Nachrichten für alle',X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e',2,'desk@example.com',1,1,2,0,1,1,'[News] ',3,X'80055d942e',5,0,1,NULL,1,0,X'80055d942e');
INSERT INTO mailinglist VALUES(2,'staff','lists.example.com','staff.lists.example.com',1,1,0,0,'2026-11-22 23:37:25.581583',1,1,NULL,1,NULL,X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e',1,0,1,2,'1970-04-01 00:00:00.000000',0,'',0,'',0,'',2,0,1,0,'1970-01-08 00:00:00.000000',replace('\n# Lines that *start* with a ''#'' are comments.\nto: friend@public.com\nmessage-id: relay.comanche.denmark.eu\nfrom: list@listme.com\nfrom: .*@uplinkpro.com\n','\n',char(10)),1,1,5,3,'1970-01-08 00:00:00.000000',1,1,0,0,'','',4,0,'',0,0,1,30.0,1,X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e',0,0,0,1,0,0,X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e','','',0,40,10,'',NULL,0,1,'',1,'default-owner-chain','default-owner-pipeline',0,1,'default-posting-chain','default-posting-pipeline','de','Staff',X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e',0,'',1,1,2,0,1,1,'[Staff] ',1,X'80055d942e',5,0,1,NULL,1,0,X'80055d942e');
INSERT INTO mailinglist VALUES(3,'announce','club.example.org','announce.club.example.org',1,1,1,1,'2026-11-22 23:37:25.614195',1,1,NULL,1,NULL,X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e',1,0,1,0,'1970-04-01 00:00:00.000000',0,'',0,'',0,'',2,0,1,0,'1970-01-08 00:00:00.000000',replace('\n# Lines that *start* with a ''#'' are comments.\nto: friend@public.com\nmessage-id: relay.comanche.denmark.eu\nfrom: list@listme.com\nfrom: .*@uplinkpro.com\n','\n',char(10)),1,1,5,3,'1970-01-08 00:00:00.000000',1,1,1,0,'','',4,0,'',1,0,1,30.0,1,X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e',1,0,0,1,0,0,X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e','','',0,40,10,'',NULL,0,1,'',1,'default-owner-chain','default-owner-pipeline',0,1,'default-posting-chain','default-posting-pipeline','en','Announce',X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e',0,'',1,1,2,0,1,1,'[Announce] ',1,X'80055d942e',5,0,1,NULL,1,0,X'80055d942e');
INSERT INTO mailinglist VALUES(4,'empty','club.example.org','empty.club.example.org',1,1,1,0,'2026-11-22 23:37:25.642131',1,1,NULL,1,NULL,X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e',1,0,1,2,'1970-04-01 00:00:00.000000',0,'',0,'',0,'',2,0,1,0,'1970-01-08 00:00:00.000000',replace('\n# Lines that *start* with a ''#'' are comments.\nto: friend@public.com\nmessage-id: relay.comanche.denmark.eu\nfrom: list@listme.com\nfrom: .*@uplinkpro.com\n','\n',char(10)),1,1,5,3,'1970-01-08 00:00:00.000000',1,1,0,0,'','',4,0,'A list that nobody is on',1,0,1,30.0,1,X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e',0,0,0,1,0,0,X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e','','',0,40,10,'',NULL,0,1,'',1,'default-owner-chain','default-owner-pipeline',0,1,'default-posting-chain','default-posting-pipeline','en','Empty',X'80059530000000000000008c1673716c616c6368656d792e6578742e6d757461626c65948c0b4d757461626c654c6973749493945d94859452942e',0,'',1,1,2,0,1,1,'[Empty] ',1,X'80055d942e',5,0,1,NULL,1,0,X'80055d942e');
CREATE INDEX ix_ban_email ON ban (email);
CREATE INDEX ix_ban_list_id ON ban (list_id);
CREATE INDEX ix_uid_uid ON uid (uid);
CREATE INDEX ix_pended_token ON pended (token);
CREATE INDEX ix_pended_expiration_date ON pended (expiration_date);
CREATE INDEX ix_contentfilter_mailing_list_id ON contentfilter (mailing_list_id);
CREATE INDEX ix_acceptablealias_alias ON acceptablealias (alias);
CREATE INDEX ix_acceptablealias_mailing_list_id ON acceptablealias (mailing_list_id);
CREATE INDEX ix_listarchiver_mailing_list_id ON listarchiver (mailing_list_id);
CREATE INDEX ix_headermatch_position ON headermatch (position);
CREATE INDEX ix_headermatch_mailing_list_id ON headermatch (mailing_list_id);
CREATE INDEX ix_pendedkeyvalue_pended_id ON pendedkeyvalue (pended_id);
CREATE INDEX ix_pendedkeyvalue_value ON pendedkeyvalue (value);
CREATE INDEX ix_pendedkeyvalue_key ON pendedkeyvalue ("key");
CREATE INDEX ix__request_mailing_list_id ON _request (mailing_list_id);
CREATE INDEX ix_user_preferences_id ON user (preferences_id);
CREATE INDEX ix_user__user_id ON user (_user_id);
CREATE INDEX ix_address_user_id ON address (user_id);
CREATE INDEX ix_address_preferences_id ON address (preferences_id);
CREATE UNIQUE INDEX ix_address_email ON address (email);
CREATE INDEX ix_autoresponserecord_mailing_list_id ON autoresponserecord (mailing_list_id);
CREATE INDEX ix_autoresponserecord_address_id ON autoresponserecord (address_id);
CREATE INDEX ix_member_address_id ON member (address_id);
CREATE INDEX ix_member_total_warnings_sent ON member (total_warnings_sent);
CREATE INDEX ix_member_preferences_id ON member (preferences_id);
CREATE INDEX ix_member_bounce_score ON member (bounce_score);
CREATE INDEX ix_member_list_id ON member (list_id);
CREATE INDEX ix_member_last_warning_sent ON member (last_warning_sent);
CREATE INDEX ix_member_role ON member (role);
CREATE INDEX ix_member_user_id ON member (user_id);
CREATE UNIQUE INDEX ix_mailinglist_list_id ON mailinglist (list_id);
CREATE INDEX ix_mailinglist_mail_host ON mailinglist (mail_host);
CREATE INDEX ix_mailinglist_list_name ON mailinglist (list_name);
CREATE INDEX ix_member__member_id ON member (_member_id);
COMMIT;
