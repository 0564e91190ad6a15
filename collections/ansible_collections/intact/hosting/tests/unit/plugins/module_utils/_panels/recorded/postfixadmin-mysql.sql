/*M!999999\- enable the sandbox mode */ 
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: pfa
-- ------------------------------------------------------
-- Server version	10.11.19-MariaDB-0+deb12u1

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Current Database: `pfa`
--

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `pfa` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci */;

USE `pfa`;

--
-- Table structure for table `admin`
--

DROP TABLE IF EXISTS `admin`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `admin` (
  `username` varchar(255) NOT NULL,
  `password` varchar(255) NOT NULL,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `modified` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) NOT NULL DEFAULT 1,
  `superadmin` tinyint(1) NOT NULL DEFAULT 0,
  `phone` varchar(30) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT '',
  `email_other` varchar(255) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT '',
  `token` varchar(255) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT '',
  `token_validity` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  PRIMARY KEY (`username`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_general_ci COMMENT='Postfix Admin - Virtual Admins';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `admin`
--

LOCK TABLES `admin` WRITE;
/*!40000 ALTER TABLE `admin` DISABLE KEYS */;
INSERT INTO `admin` VALUES
('customer@example.com','$6$xvJCXb0m.VIsvXjG$7tZe5jHCKYXKgvMfZBoA4juRAHpd3R3P.GGZgfuNTQhVG1p2ayzTu5SU.RwmSxvVWv1ywQLXVHJenWKRA2ePK.','2026-11-23 00:21:12','2026-11-23 00:21:12',1,0,'','','','2026-11-23 00:21:12'),
('root@example.com','$6$XDVZ1KMwkKiphaTi$G3B.aKWP4LEh4YGRxlZEr1G0qK1EuIyBqu6EfwK8Y5zyL.vQE2HX0BSDGDm1H2/.LbSsjeuJOHtdlA/lrjuEv.','2026-11-23 00:21:12','2026-11-23 00:21:12',1,1,'','','','2026-11-23 00:21:12');
/*!40000 ALTER TABLE `admin` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `alias`
--

DROP TABLE IF EXISTS `alias`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `alias` (
  `address` varchar(255) NOT NULL,
  `goto` text NOT NULL,
  `domain` varchar(255) NOT NULL,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `modified` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (`address`),
  KEY `domain` (`domain`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_general_ci COMMENT='Postfix Admin - Virtual Aliases';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `alias`
--

LOCK TABLES `alias` WRITE;
/*!40000 ALTER TABLE `alias` DISABLE KEYS */;
INSERT INTO `alias` VALUES
('@shop.example.org','info@shop.example.org','shop.example.org','2026-11-23 00:21:11','2026-11-23 00:21:11',1),
('abuse@empty.example.net','abuse@change-this-to-your.domain.tld','empty.example.net','2026-11-23 00:21:10','2026-11-23 00:21:10',1),
('abuse@example.com','abuse@change-this-to-your.domain.tld','example.com','2026-11-23 00:21:10','2026-11-23 00:21:10',1),
('abuse@old.example.com','abuse@change-this-to-your.domain.tld','old.example.com','2026-11-23 00:21:11','2026-11-23 00:21:11',1),
('abuse@shop.example.org','abuse@change-this-to-your.domain.tld','shop.example.org','2026-11-23 00:21:10','2026-11-23 00:21:10',1),
('ann@example.com','ann@example.com','example.com','2026-11-23 00:21:10','2026-11-23 00:21:10',1),
('bob@example.com','bob@example.com','example.com','2026-11-23 00:21:11','2026-11-23 00:21:11',1),
('carol@example.com','carol@example.com','example.com','2026-11-23 00:21:11','2026-11-23 00:21:11',1),
('hostmaster@empty.example.net','hostmaster@change-this-to-your.domain.tld','empty.example.net','2026-11-23 00:21:10','2026-11-23 00:21:10',1),
('hostmaster@example.com','hostmaster@change-this-to-your.domain.tld','example.com','2026-11-23 00:21:10','2026-11-23 00:21:10',1),
('hostmaster@old.example.com','hostmaster@change-this-to-your.domain.tld','old.example.com','2026-11-23 00:21:11','2026-11-23 00:21:11',1),
('hostmaster@shop.example.org','hostmaster@change-this-to-your.domain.tld','shop.example.org','2026-11-23 00:21:10','2026-11-23 00:21:10',1),
('info@shop.example.org','info@shop.example.org','shop.example.org','2026-11-23 00:21:11','2026-11-23 00:21:11',1),
('postmaster@empty.example.net','postmaster@change-this-to-your.domain.tld','empty.example.net','2026-11-23 00:21:10','2026-11-23 00:21:10',1),
('postmaster@example.com','postmaster@change-this-to-your.domain.tld','example.com','2026-11-23 00:21:10','2026-11-23 00:21:10',1),
('postmaster@old.example.com','postmaster@change-this-to-your.domain.tld','old.example.com','2026-11-23 00:21:11','2026-11-23 00:21:11',1),
('postmaster@shop.example.org','postmaster@change-this-to-your.domain.tld','shop.example.org','2026-11-23 00:21:10','2026-11-23 00:21:10',1),
('sales@example.com','ann@example.com,bob@example.com,extern@example.net','example.com','2026-11-23 00:21:11','2026-11-23 00:21:11',1),
('webmaster@empty.example.net','webmaster@change-this-to-your.domain.tld','empty.example.net','2026-11-23 00:21:10','2026-11-23 00:21:10',1),
('webmaster@example.com','webmaster@change-this-to-your.domain.tld','example.com','2026-11-23 00:21:10','2026-11-23 00:21:10',1),
('webmaster@old.example.com','webmaster@change-this-to-your.domain.tld','old.example.com','2026-11-23 00:21:11','2026-11-23 00:21:11',1),
('webmaster@shop.example.org','webmaster@change-this-to-your.domain.tld','shop.example.org','2026-11-23 00:21:10','2026-11-23 00:21:10',1);
/*!40000 ALTER TABLE `alias` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `alias_domain`
--

DROP TABLE IF EXISTS `alias_domain`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `alias_domain` (
  `alias_domain` varchar(255) NOT NULL DEFAULT '',
  `target_domain` varchar(255) NOT NULL DEFAULT '',
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `modified` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (`alias_domain`),
  KEY `active` (`active`),
  KEY `target_domain` (`target_domain`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_general_ci COMMENT='Postfix Admin - Domain Aliases';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `alias_domain`
--

LOCK TABLES `alias_domain` WRITE;
/*!40000 ALTER TABLE `alias_domain` DISABLE KEYS */;
INSERT INTO `alias_domain` VALUES
('old.example.com','example.com','2026-11-23 00:21:12','2026-11-23 00:21:12',1);
/*!40000 ALTER TABLE `alias_domain` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `config`
--

DROP TABLE IF EXISTS `config`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `config` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(20) CHARACTER SET latin1 COLLATE latin1_general_ci NOT NULL DEFAULT '',
  `value` varchar(20) CHARACTER SET latin1 COLLATE latin1_general_ci NOT NULL DEFAULT '',
  PRIMARY KEY (`id`),
  UNIQUE KEY `name` (`name`)
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='PostfixAdmin settings';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `config`
--

LOCK TABLES `config` WRITE;
/*!40000 ALTER TABLE `config` DISABLE KEYS */;
INSERT INTO `config` VALUES
(1,'version','1847');
/*!40000 ALTER TABLE `config` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `domain`
--

DROP TABLE IF EXISTS `domain`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `domain` (
  `domain` varchar(255) NOT NULL,
  `description` varchar(255) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL,
  `aliases` int(10) NOT NULL DEFAULT 0,
  `mailboxes` int(10) NOT NULL DEFAULT 0,
  `maxquota` bigint(20) NOT NULL DEFAULT 0,
  `quota` bigint(20) NOT NULL DEFAULT 0,
  `transport` varchar(255) NOT NULL,
  `backupmx` tinyint(1) NOT NULL DEFAULT 0,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `modified` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) NOT NULL DEFAULT 1,
  `password_expiry` int(11) DEFAULT 0,
  PRIMARY KEY (`domain`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_general_ci COMMENT='Postfix Admin - Virtual Domains';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `domain`
--

LOCK TABLES `domain` WRITE;
/*!40000 ALTER TABLE `domain` DISABLE KEYS */;
INSERT INTO `domain` VALUES
('empty.example.net','Kunde empty.example.net; \"gut\" & \'günstig\'',20,10,10,2048,'virtual',0,'2026-11-23 00:21:10','2026-11-23 00:21:10',1,365),
('example.com','Kunde example.com; \"gut\" & \'günstig\'',20,10,10,2048,'virtual',0,'2026-11-23 00:21:10','2026-11-23 00:21:10',1,365),
('old.example.com','',10,10,10,2048,'virtual',0,'2026-11-23 00:21:11','2026-11-23 00:21:11',1,365),
('shop.example.org','Kunde shop.example.org; \"gut\" & \'günstig\'',20,10,10,2048,'virtual',0,'2026-11-23 00:21:10','2026-11-23 00:21:10',1,365);
/*!40000 ALTER TABLE `domain` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `domain_admins`
--

DROP TABLE IF EXISTS `domain_admins`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `domain_admins` (
  `username` varchar(255) NOT NULL,
  `domain` varchar(255) NOT NULL,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) NOT NULL DEFAULT 1,
  `id` int(11) NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`id`),
  KEY `username` (`username`)
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=latin1 COLLATE=latin1_general_ci COMMENT='Postfix Admin - Domain Admins';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `domain_admins`
--

LOCK TABLES `domain_admins` WRITE;
/*!40000 ALTER TABLE `domain_admins` DISABLE KEYS */;
INSERT INTO `domain_admins` VALUES
('root@example.com','ALL','2026-11-23 00:21:12',1,1),
('customer@example.com','example.com','2026-11-23 00:21:12',1,2),
('customer@example.com','shop.example.org','2026-11-23 00:21:12',1,3);
/*!40000 ALTER TABLE `domain_admins` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `fetchmail`
--

DROP TABLE IF EXISTS `fetchmail`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `fetchmail` (
  `id` int(11) unsigned NOT NULL AUTO_INCREMENT,
  `mailbox` varchar(255) NOT NULL,
  `src_server` varchar(255) NOT NULL,
  `src_auth` enum('password','kerberos_v5','kerberos','kerberos_v4','gssapi','cram-md5','otp','ntlm','msn','ssh','any') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci DEFAULT NULL,
  `src_user` varchar(255) NOT NULL,
  `src_password` varchar(255) NOT NULL,
  `src_folder` varchar(255) NOT NULL,
  `poll_time` int(11) unsigned NOT NULL DEFAULT 10,
  `fetchall` tinyint(1) unsigned NOT NULL DEFAULT 0,
  `keep` tinyint(1) unsigned NOT NULL DEFAULT 0,
  `protocol` enum('POP3','IMAP','POP2','ETRN','AUTO') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci DEFAULT NULL,
  `usessl` tinyint(1) unsigned NOT NULL DEFAULT 0,
  `extra_options` text DEFAULT NULL,
  `returned_text` text DEFAULT NULL,
  `mda` varchar(255) NOT NULL,
  `date` timestamp NOT NULL DEFAULT '2000-01-01 00:00:00',
  `sslcertck` tinyint(1) NOT NULL DEFAULT 0,
  `sslcertpath` varchar(255) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci DEFAULT '',
  `sslfingerprint` varchar(255) DEFAULT '',
  `domain` varchar(255) DEFAULT '',
  `active` tinyint(1) NOT NULL DEFAULT 0,
  `created` timestamp NOT NULL DEFAULT '2000-01-01 00:00:00',
  `modified` timestamp NOT NULL DEFAULT current_timestamp(),
  `src_port` int(11) NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=latin1 COLLATE=latin1_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `fetchmail`
--

LOCK TABLES `fetchmail` WRITE;
/*!40000 ALTER TABLE `fetchmail` DISABLE KEYS */;
INSERT INTO `fetchmail` VALUES
(1,'ann@example.com','pop.example.net','password','ann','Abholen-Geheim-9921','',10,0,0,'POP3',0,'','','','2000-01-01 00:00:00',0,'','','example.com',0,'2000-01-01 00:00:00','2026-11-23 00:21:12',0);
/*!40000 ALTER TABLE `fetchmail` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `log`
--

DROP TABLE IF EXISTS `log`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `log` (
  `timestamp` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `username` varchar(255) NOT NULL,
  `domain` varchar(255) NOT NULL,
  `action` varchar(255) NOT NULL,
  `data` text NOT NULL,
  `id` int(11) NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`id`),
  KEY `timestamp` (`timestamp`),
  KEY `domain_timestamp` (`domain`,`timestamp`)
) ENGINE=InnoDB AUTO_INCREMENT=18 DEFAULT CHARSET=latin1 COLLATE=latin1_general_ci COMMENT='Postfix Admin - Log';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `log`
--

LOCK TABLES `log` WRITE;
/*!40000 ALTER TABLE `log` DISABLE KEYS */;
INSERT INTO `log` VALUES
('2026-11-23 00:21:10','CLI (localhost)','example.com','create_domain','example.com',1),
('2026-11-23 00:21:10','CLI (localhost)','shop.example.org','create_domain','shop.example.org',2),
('2026-11-23 00:21:10','CLI (localhost)','empty.example.net','create_domain','empty.example.net',3),
('2026-11-23 00:21:10','CLI (localhost)','example.com','create_alias','ann@example.com',4),
('2026-11-23 00:21:10','CLI (localhost)','example.com','create_mailbox','ann@example.com',5),
('2026-11-23 00:21:11','CLI (localhost)','example.com','create_alias','bob@example.com',6),
('2026-11-23 00:21:11','CLI (localhost)','example.com','create_mailbox','bob@example.com',7),
('2026-11-23 00:21:11','CLI (localhost)','example.com','create_alias','carol@example.com',8),
('2026-11-23 00:21:11','CLI (localhost)','example.com','create_mailbox','carol@example.com',9),
('2026-11-23 00:21:11','CLI (localhost)','shop.example.org','create_alias','info@shop.example.org',10),
('2026-11-23 00:21:11','CLI (localhost)','shop.example.org','create_mailbox','info@shop.example.org',11),
('2026-11-23 00:21:11','CLI (localhost)','example.com','create_alias','sales@example.com',12),
('2026-11-23 00:21:11','CLI (localhost)','shop.example.org','create_alias','@shop.example.org',13),
('2026-11-23 00:21:11','CLI (localhost)','old.example.com','create_domain','old.example.com',14),
('2026-11-23 00:21:12','CLI (localhost)','old.example.com','create_alias_domain','old.example.com',15),
('2026-11-23 00:21:12','CLI (localhost)','','create_admin','root@example.com',16),
('2026-11-23 00:21:12','CLI (localhost)','','create_admin','customer@example.com',17);
/*!40000 ALTER TABLE `log` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `mailbox`
--

DROP TABLE IF EXISTS `mailbox`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `mailbox` (
  `username` varchar(255) NOT NULL,
  `password` varchar(255) NOT NULL,
  `name` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  `maildir` varchar(255) NOT NULL,
  `quota` bigint(20) NOT NULL DEFAULT 0,
  `local_part` varchar(255) NOT NULL,
  `domain` varchar(255) NOT NULL,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `modified` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) NOT NULL DEFAULT 1,
  `phone` varchar(30) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT '',
  `email_other` varchar(255) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT '',
  `token` varchar(255) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT '',
  `token_validity` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `password_expiry` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  PRIMARY KEY (`username`),
  KEY `domain` (`domain`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_general_ci COMMENT='Postfix Admin - Virtual Mailboxes';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `mailbox`
--

LOCK TABLES `mailbox` WRITE;
/*!40000 ALTER TABLE `mailbox` DISABLE KEYS */;
INSERT INTO `mailbox` VALUES
('ann@example.com','$6$WLaLUk4pmihpHY0Q$WloEsK3II76Dq6wFAXiaPr3vMYYCHO3AX5LPQTa0dPc0l8r6ex9QgyejbiFSy9lAMBSt.u1.6OWiWta17OXAs.','Größe Ann, =1+1','example.com/ann/',51200000,'ann','example.com','2026-11-23 00:21:10','2026-11-23 00:21:10',1,'','','','2026-11-23 00:21:10','2027-11-23 00:21:00'),
('bob@example.com','$6$ls37FhKbJNGZSZur$lhAG64YkeCs8sWeYS9OzGhHr9DuPcKKCqvVKDcj76Pwodzkzc6SdHWS6pvc0S71zCGGnuVVJhVr9gSxAILryG.','Größe Bob, =1+1','example.com/bob/',51200000,'bob','example.com','2026-11-23 00:21:11','2026-11-23 00:21:11',1,'','','','2026-11-23 00:21:11','2027-11-23 00:21:00'),
('carol@example.com','$6$zcf/pzoT27DP68MD$9xZG7M7QNhLhOj8Apviuad67haShoClf78XSULyuqGU2CO9Tc0zi2ikGWT95LE3X5uLE3j9Tmyj6Iq8BVclci.','Größe Carol, =1+1','example.com/carol/',51200000,'carol','example.com','2026-11-23 00:21:11','2026-11-23 00:21:11',1,'','','','2026-11-23 00:21:11','2027-11-23 00:21:00'),
('info@shop.example.org','$6$Ww5yO3eMaty6r3gW$ETwn0I3Sxzn1OFEdIyAAWtCJaiBXBIvp3w2tgoQMQYFXBMWB2cy2iFNu0d17KABPcngzD8JtJhF0wwqCf1Qfs0','','shop.example.org/info/',0,'info','shop.example.org','2026-11-23 00:21:11','2026-11-23 00:21:11',1,'','','','2026-11-23 00:21:11','2027-11-23 00:21:00');
/*!40000 ALTER TABLE `mailbox` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `quota`
--

DROP TABLE IF EXISTS `quota`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `quota` (
  `username` varchar(255) NOT NULL,
  `path` varchar(100) NOT NULL,
  `current` bigint(20) NOT NULL DEFAULT 0,
  PRIMARY KEY (`username`,`path`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `quota`
--

LOCK TABLES `quota` WRITE;
/*!40000 ALTER TABLE `quota` DISABLE KEYS */;
/*!40000 ALTER TABLE `quota` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `quota2`
--

DROP TABLE IF EXISTS `quota2`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `quota2` (
  `username` varchar(255) CHARACTER SET latin1 COLLATE latin1_general_ci NOT NULL,
  `bytes` bigint(20) NOT NULL DEFAULT 0,
  `messages` int(11) NOT NULL DEFAULT 0,
  PRIMARY KEY (`username`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `quota2`
--

LOCK TABLES `quota2` WRITE;
/*!40000 ALTER TABLE `quota2` DISABLE KEYS */;
/*!40000 ALTER TABLE `quota2` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `vacation`
--

DROP TABLE IF EXISTS `vacation`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `vacation` (
  `email` varchar(255) NOT NULL,
  `subject` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  `body` text CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  `cache` text NOT NULL,
  `domain` varchar(255) NOT NULL,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) NOT NULL DEFAULT 1,
  `modified` timestamp NOT NULL DEFAULT current_timestamp(),
  `activefrom` timestamp NOT NULL DEFAULT '2000-01-01 00:00:00',
  `activeuntil` timestamp NOT NULL DEFAULT '2038-01-18 00:00:00',
  `interval_time` int(11) NOT NULL DEFAULT 0,
  PRIMARY KEY (`email`),
  KEY `email` (`email`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_general_ci COMMENT='Postfix Admin - Virtual Vacation';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `vacation`
--

LOCK TABLES `vacation` WRITE;
/*!40000 ALTER TABLE `vacation` DISABLE KEYS */;
INSERT INTO `vacation` VALUES
('bob@example.com','Weg','Bis Montag; danke, \"Bob\"','','example.com','2000-01-01 00:00:00',1,'2026-11-23 00:21:12','2000-01-01 00:00:00','2038-01-18 00:00:00',0);
/*!40000 ALTER TABLE `vacation` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `vacation_notification`
--

DROP TABLE IF EXISTS `vacation_notification`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `vacation_notification` (
  `on_vacation` varchar(255) CHARACTER SET latin1 COLLATE latin1_general_ci NOT NULL,
  `notified` varchar(255) CHARACTER SET latin1 COLLATE latin1_general_ci NOT NULL DEFAULT '',
  `notified_at` timestamp NOT NULL DEFAULT current_timestamp(),
  PRIMARY KEY (`on_vacation`,`notified`),
  CONSTRAINT `vacation_notification_pkey` FOREIGN KEY (`on_vacation`) REFERENCES `vacation` (`email`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci COMMENT='Postfix Admin - Virtual Vacation Notifications';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `vacation_notification`
--

LOCK TABLES `vacation_notification` WRITE;
/*!40000 ALTER TABLE `vacation_notification` DISABLE KEYS */;
/*!40000 ALTER TABLE `vacation_notification` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Dumping events for database 'pfa'
--

--
-- Dumping routines for database 'pfa'
--
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed
