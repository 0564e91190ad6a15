PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE config (
        `id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
        `name` TEXT NOT NULL UNIQUE DEFAULT '',
        `value` TEXT NOT NULL DEFAULT ''
        );
INSERT INTO config VALUES(1,'version','1847');
CREATE TABLE admin (
          `username` varchar(255) NOT NULL,
          `password` varchar(255) NOT NULL,
          `superadmin` tinyint(1) NOT NULL DEFAULT '0',
          `created` datetime NOT NULL default '2000-01-01',
          `modified` datetime NOT NULL default '2000-01-01',
          `active` tinyint(1) NOT NULL DEFAULT '1', `phone` varchar(30) NOT NULL DEFAULT '', `email_other` varchar(255) NOT NULL DEFAULT '', token varchar(255)  NOT NULL DEFAULT '', token_validity datetime NOT NULL default '2000-01-01',
          PRIMARY KEY (`username`));
INSERT INTO admin VALUES('root@example.com','$6$Uf3ukcmDEv5/sgIL$ZoPPEDkewfzsneUBnLYs4XPeR2EslqUDmVAMF5XwW2F6qFMesofKb8xN9ajNPm5VArAFpv49AMflUn4WxlHdi.',1,'2026-11-23 00:04:59','2026-11-23 00:04:59',1,'','','','2026-11-23 00:04:59');
INSERT INTO admin VALUES('customer@example.com','$6$xDnvabq8Rj7fxFDM$Z6JdcGaFdM7RaPfvg44p6mdVruSvptU8umJeZ78e2eVYb1K1bKEeD3.aRGsPWv2SyM4DPIsvUyJTdmzHNL3Mz0',0,'2026-11-23 00:04:59','2026-11-23 00:04:59',1,'','','','2026-11-23 00:04:59');
CREATE TABLE alias (
          `address` varchar(255) NOT NULL,
          `goto` text NOT NULL,
          `domain` varchar(255) NOT NULL,
          `created` datetime NOT NULL default '2000-01-01',
          `modified` datetime NOT NULL default '2000-01-01',
          `active` tinyint(1) NOT NULL DEFAULT '1',
          PRIMARY KEY (`address`));
INSERT INTO alias VALUES('abuse@example.com','abuse@change-this-to-your.domain.tld','example.com','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('hostmaster@example.com','hostmaster@change-this-to-your.domain.tld','example.com','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('postmaster@example.com','postmaster@change-this-to-your.domain.tld','example.com','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('webmaster@example.com','webmaster@change-this-to-your.domain.tld','example.com','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('abuse@shop.example.org','abuse@change-this-to-your.domain.tld','shop.example.org','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('hostmaster@shop.example.org','hostmaster@change-this-to-your.domain.tld','shop.example.org','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('postmaster@shop.example.org','postmaster@change-this-to-your.domain.tld','shop.example.org','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('webmaster@shop.example.org','webmaster@change-this-to-your.domain.tld','shop.example.org','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('abuse@empty.example.net','abuse@change-this-to-your.domain.tld','empty.example.net','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('hostmaster@empty.example.net','hostmaster@change-this-to-your.domain.tld','empty.example.net','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('postmaster@empty.example.net','postmaster@change-this-to-your.domain.tld','empty.example.net','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('webmaster@empty.example.net','webmaster@change-this-to-your.domain.tld','empty.example.net','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('ann@example.com','ann@example.com','example.com','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('bob@example.com','bob@example.com','example.com','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('carol@example.com','carol@example.com','example.com','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('info@shop.example.org','info@shop.example.org','shop.example.org','2026-11-23 00:04:58','2026-11-23 00:04:58',1);
INSERT INTO alias VALUES('sales@example.com','ann@example.com,bob@example.com,extern@example.net','example.com','2026-11-23 00:04:59','2026-11-23 00:04:59',1);
INSERT INTO alias VALUES('@shop.example.org','info@shop.example.org','shop.example.org','2026-11-23 00:04:59','2026-11-23 00:04:59',1);
INSERT INTO alias VALUES('abuse@old.example.com','abuse@change-this-to-your.domain.tld','old.example.com','2026-11-23 00:04:59','2026-11-23 00:04:59',1);
INSERT INTO alias VALUES('hostmaster@old.example.com','hostmaster@change-this-to-your.domain.tld','old.example.com','2026-11-23 00:04:59','2026-11-23 00:04:59',1);
INSERT INTO alias VALUES('postmaster@old.example.com','postmaster@change-this-to-your.domain.tld','old.example.com','2026-11-23 00:04:59','2026-11-23 00:04:59',1);
INSERT INTO alias VALUES('webmaster@old.example.com','webmaster@change-this-to-your.domain.tld','old.example.com','2026-11-23 00:04:59','2026-11-23 00:04:59',1);
CREATE TABLE alias_domain (
          `alias_domain` varchar(255) NOT NULL,
          `target_domain` varchar(255) NOT NULL,
          `created` datetime NOT NULL default '2000-01-01',
          `modified` datetime NOT NULL default '2000-01-01',
          `active` tinyint(1) NOT NULL DEFAULT '1',
          PRIMARY KEY (`alias_domain`));
INSERT INTO alias_domain VALUES('old.example.com','example.com','2026-11-23 00:04:59','2026-11-23 00:04:59',1);
CREATE TABLE domain (
          `domain` varchar(255) NOT NULL,
          `description` varchar(255) NOT NULL,
          `aliases` int(11) NOT NULL DEFAULT 0,
          `mailboxes` int(11) NOT NULL DEFAULT 0,
          `maxquota` bigint(20) NOT NULL DEFAULT 0,
          `quota` bigint(20) NOT NULL DEFAULT 0,
          `transport` varchar(255) NOT NULL,
          `backupmx` tinyint(1) NOT NULL DEFAULT '0',
          `created` datetime NOT NULL default '2000-01-01',
          `modified` datetime NOT NULL default '2000-01-01',
          `active` tinyint(1) NOT NULL DEFAULT '1', password_expiry int DEFAULT 0,
          PRIMARY KEY (`domain`));
INSERT INTO domain VALUES('example.com','Kunde example.com; "gut" & ''günstig''',20,10,10,2048,'virtual',0,'2026-11-23 00:04:58','2026-11-23 00:04:58',1,365);
INSERT INTO domain VALUES('shop.example.org','Kunde shop.example.org; "gut" & ''günstig''',20,10,10,2048,'virtual',0,'2026-11-23 00:04:58','2026-11-23 00:04:58',1,365);
INSERT INTO domain VALUES('empty.example.net','Kunde empty.example.net; "gut" & ''günstig''',20,10,10,2048,'virtual',0,'2026-11-23 00:04:58','2026-11-23 00:04:58',1,365);
INSERT INTO domain VALUES('old.example.com','',10,10,10,2048,'virtual',0,'2026-11-23 00:04:59','2026-11-23 00:04:59',1,365);
CREATE TABLE domain_admins (
          `username` varchar(255) NOT NULL,
          `domain` varchar(255) NOT NULL,
          `created` datetime NOT NULL default '2000-01-01',
          `active` tinyint(1) NOT NULL DEFAULT '1');
INSERT INTO domain_admins VALUES('root@example.com','ALL','2026-11-23 00:04:59',1);
INSERT INTO domain_admins VALUES('customer@example.com','example.com','2026-11-23 00:04:59',1);
INSERT INTO domain_admins VALUES('customer@example.com','shop.example.org','2026-11-23 00:04:59',1);
CREATE TABLE fetchmail (
          `id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
          `domain` varchar(255) DEFAULT '',
          `mailbox` varchar(255) NOT NULL,
          `src_server` varchar(255) NOT NULL,
          `src_auth` varchar(255) DEFAULT NULL,
          `src_user` varchar(255) NOT NULL,
          `src_password` varchar(255) NOT NULL,
          `src_folder` varchar(255) NOT NULL,
          `poll_time` int(11)  NOT NULL DEFAULT '10',
          `fetchall` tinyint(1) NOT NULL DEFAULT '0',
          `keep` tinyint(1) NOT NULL DEFAULT '0',
          `protocol` text DEFAULT NULL,
          `usessl` tinyint(1) NOT NULL DEFAULT '0',
          `sslcertck` tinyint(1) NOT NULL DEFAULT '0',
          `sslcertpath` varchar(255) DEFAULT '',
          `sslfingerprint` varchar(255) DEFAULT '',
          `extra_options` text,
          `returned_text` text,
          `mda` varchar(255) NOT NULL,
          `date` datetime NOT NULL default '2000-01-01',
          `created` datetime NOT NULL default '2000-01-01',
          `modified` datetime NOT NULL default CURRENT_TIMESTAMP,
          `active` tinyint(1) NOT NULL DEFAULT '0', src_port int(11) NOT NULL DEFAULT 0);
INSERT INTO fetchmail VALUES(1,'example.com','ann@example.com','pop.example.net','password','ann','Abholen-Geheim-9921','',10,0,0,'POP3',0,0,'','','','','','2000-01-01','2000-01-01','2026-11-23 00:04:59',0,0);
CREATE TABLE mailbox (
          `username` varchar(255) NOT NULL,
          `password` varchar(255) NOT NULL,
          `name` varchar(255) NOT NULL,
          `maildir` varchar(255) NOT NULL,
          `quota` bigint(20) NOT NULL DEFAULT 0,
          `local_part` varchar(255) NOT NULL,
          `domain` varchar(255) NOT NULL,
          `created` datetime NOT NULL default '2000-01-01',
          `modified` datetime NOT NULL default '2000-01-01',
          `active` tinyint(1) NOT NULL DEFAULT '1', `phone` varchar(30) NOT NULL DEFAULT '', `email_other` varchar(255) NOT NULL DEFAULT '', token varchar(255)  NOT NULL DEFAULT '', token_validity datetime NOT NULL default '2000-01-01', password_expiry datetime NOT NULL default '2000-01-01',
          PRIMARY KEY (`username`));
INSERT INTO mailbox VALUES('ann@example.com','$6$vF.eI.i17mFix8G9$WRkHd99R9Zb8f.emW1qGT6JLzxeB0FFLNrHp9yuAhaLhZd4b.MnOibP8TtMK3dr.OJx4keu6oj/60rbJfmeyq.','Größe Ann, =1+1','example.com/ann/',51200000,'ann','example.com','2026-11-23 00:04:58','2026-11-23 00:04:58',1,'','','','2026-11-23 00:04:58','2027-11-23 00:04');
INSERT INTO mailbox VALUES('bob@example.com','$6$30WusNE9p62YEKSU$DoKsMr0m5.sQdn0x6msefMJojMVc/oYCeXphE.dClWa2XKlmh41Z7oQ8OykvIekZi2CZ.BCv4iP1StAZedGKb0','Größe Bob, =1+1','example.com/bob/',51200000,'bob','example.com','2026-11-23 00:04:58','2026-11-23 00:04:58',1,'','','','2026-11-23 00:04:58','2027-11-23 00:04');
INSERT INTO mailbox VALUES('carol@example.com','$6$5vf0Roz2P8Nhreh6$Tb/wFhb76oqP/1nWWGq4Y0GEaiVxVwEP1JzhSicL4KpNrXBLmjnY2Nl/G7GWiKZwYE02w08/XS8FMl2/z.hg6/','Größe Carol, =1+1','example.com/carol/',51200000,'carol','example.com','2026-11-23 00:04:58','2026-11-23 00:04:58',1,'','','','2026-11-23 00:04:58','2027-11-23 00:04');
INSERT INTO mailbox VALUES('info@shop.example.org','$6$Vqn67O/IoyHlj98D$WK3oNKIvPJUMfutlHfip7S3orwqTuaUir2OEGy0a/Z020MKGNO3O.jipU/LRNb/5eAxcM65WkD8X1xLpMqJLY.','','shop.example.org/info/',0,'info','shop.example.org','2026-11-23 00:04:59','2026-11-23 00:04:59',1,'','','','2026-11-23 00:04:58','2027-11-23 00:04');
CREATE TABLE quota (
          `username` varchar(255) NOT NULL,
          `path` varchar(100) NOT NULL,
          `current` bigint(20) NOT NULL DEFAULT 0,
          PRIMARY KEY (`username`,`path`));
CREATE TABLE quota2 (
          `username` varchar(255) NOT NULL,
          `bytes` bigint(20) NOT NULL DEFAULT 0,
          `messages` int(11) NOT NULL DEFAULT 0,
          PRIMARY KEY (`username`));
CREATE TABLE vacation (
          `email` varchar(255) NOT NULL,
          `subject` varchar(255) NOT NULL,
          `body` text NOT NULL,
          `activefrom` datetime NOT NULL default '2000-01-01',
          `activeuntil` datetime NOT NULL default '2038-01-18',
          `cache` text NOT NULL DEFAULT '',
          `domain` varchar(255) NOT NULL,
          `interval_time` int(11) NOT NULL DEFAULT 0,
          `created` datetime NOT NULL default '2000-01-01',
          `modified` datetime NOT NULL default CURRENT_TIMESTAMP,
          `active` tinyint(1) NOT NULL DEFAULT '1',
          PRIMARY KEY (`email`));
INSERT INTO vacation VALUES('bob@example.com','Weg','Bis Montag; danke, "Bob"','2000-01-01','2038-01-18','','example.com',0,'2000-01-01','2026-11-23 00:04:59',1);
CREATE TABLE vacation_notification (
          `on_vacation` varchar(255) NOT NULL,
          `notified` varchar(255) NOT NULL,
          `notified_at` datetime NOT NULL default CURRENT_TIMESTAMP,
          PRIMARY KEY (`on_vacation`,`notified`),
          CONSTRAINT `vacation_notification_pkey` FOREIGN KEY (`on_vacation`) REFERENCES `vacation` (`email`) ON DELETE CASCADE);
CREATE TABLE log (
          `id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
          `timestamp` datetime NOT NULL default '2000-01-01',
          `username` varchar(255) NOT NULL,
          `domain` varchar(255) NOT NULL,
          `action` varchar(255) NOT NULL,
          `data` text NOT NULL);
INSERT INTO log VALUES(1,'2026-11-23 00:04:58','CLI (localhost)','example.com','create_domain','example.com');
INSERT INTO log VALUES(2,'2026-11-23 00:04:58','CLI (localhost)','shop.example.org','create_domain','shop.example.org');
INSERT INTO log VALUES(3,'2026-11-23 00:04:58','CLI (localhost)','empty.example.net','create_domain','empty.example.net');
INSERT INTO log VALUES(4,'2026-11-23 00:04:58','CLI (localhost)','example.com','create_alias','ann@example.com');
INSERT INTO log VALUES(5,'2026-11-23 00:04:58','CLI (localhost)','example.com','create_mailbox','ann@example.com');
INSERT INTO log VALUES(6,'2026-11-23 00:04:58','CLI (localhost)','example.com','create_alias','bob@example.com');
INSERT INTO log VALUES(7,'2026-11-23 00:04:58','CLI (localhost)','example.com','create_mailbox','bob@example.com');
INSERT INTO log VALUES(8,'2026-11-23 00:04:58','CLI (localhost)','example.com','create_alias','carol@example.com');
INSERT INTO log VALUES(9,'2026-11-23 00:04:58','CLI (localhost)','example.com','create_mailbox','carol@example.com');
INSERT INTO log VALUES(10,'2026-11-23 00:04:58','CLI (localhost)','shop.example.org','create_alias','info@shop.example.org');
INSERT INTO log VALUES(11,'2026-11-23 00:04:59','CLI (localhost)','shop.example.org','create_mailbox','info@shop.example.org');
INSERT INTO log VALUES(12,'2026-11-23 00:04:59','CLI (localhost)','example.com','create_alias','sales@example.com');
INSERT INTO log VALUES(13,'2026-11-23 00:04:59','CLI (localhost)','shop.example.org','create_alias','@shop.example.org');
INSERT INTO log VALUES(14,'2026-11-23 00:04:59','CLI (localhost)','old.example.com','create_domain','old.example.com');
INSERT INTO log VALUES(15,'2026-11-23 00:04:59','CLI (localhost)','old.example.com','create_alias_domain','old.example.com');
INSERT INTO log VALUES(16,'2026-11-23 00:04:59','CLI (localhost)','','create_admin','root@example.com');
INSERT INTO log VALUES(17,'2026-11-23 00:04:59','CLI (localhost)','','create_admin','customer@example.com');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('config',1);
INSERT INTO sqlite_sequence VALUES('log',17);
INSERT INTO sqlite_sequence VALUES('fetchmail',1);
COMMIT;
