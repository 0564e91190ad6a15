--
-- PostgreSQL database dump
--

\restrict rMag892bp5Ey2DAQzIDQQ13P9jFyjiCO1YaXu6c21EoXetg9rEszD7SrZ63bCfU

-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)
-- Dumped by pg_dump version 15.20 (Debian 15.20-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: pfa; Type: DATABASE; Schema: -; Owner: pfa
--

CREATE DATABASE pfa WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C.UTF-8';


ALTER DATABASE pfa OWNER TO pfa;

\unrestrict rMag892bp5Ey2DAQzIDQQ13P9jFyjiCO1YaXu6c21EoXetg9rEszD7SrZ63bCfU
\connect pfa
\restrict rMag892bp5Ey2DAQzIDQQ13P9jFyjiCO1YaXu6c21EoXetg9rEszD7SrZ63bCfU

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: merge_quota(); Type: FUNCTION; Schema: public; Owner: pfa
--

CREATE FUNCTION public.merge_quota() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            UPDATE quota SET current = NEW.current + current WHERE username = NEW.username AND path = NEW.path;
            IF found THEN
                RETURN NULL;
            ELSE
                RETURN NEW;
            END IF;
      END;
      $$;


ALTER FUNCTION public.merge_quota() OWNER TO pfa;

--
-- Name: merge_quota2(); Type: FUNCTION; Schema: public; Owner: pfa
--

CREATE FUNCTION public.merge_quota2() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            IF NEW.messages < 0 OR NEW.messages IS NULL THEN
                -- ugly kludge: we came here from this function, really do try to insert
                IF NEW.messages IS NULL THEN
                    NEW.messages = 0;
                ELSE
                    NEW.messages = -NEW.messages;
                END IF;
                return NEW;
            END IF;

            LOOP
                UPDATE quota2 SET bytes = bytes + NEW.bytes,
                    messages = messages + NEW.messages
                    WHERE username = NEW.username;
                IF found THEN
                    RETURN NULL;
                END IF;

                BEGIN
                    IF NEW.messages = 0 THEN
                    INSERT INTO quota2 (bytes, messages, username) VALUES (NEW.bytes, NULL, NEW.username);
                    ELSE
                        INSERT INTO quota2 (bytes, messages, username) VALUES (NEW.bytes, -NEW.messages, NEW.username);
                    END IF;
                    return NULL;
                    EXCEPTION WHEN unique_violation THEN
                    -- someone just inserted the record, update it
                END;
            END LOOP;
        END;
        $$;


ALTER FUNCTION public.merge_quota2() OWNER TO pfa;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: admin; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.admin (
    username character varying(255) NOT NULL,
    password character varying(255) DEFAULT ''::character varying NOT NULL,
    created timestamp with time zone DEFAULT now(),
    modified timestamp with time zone DEFAULT now(),
    active boolean DEFAULT true NOT NULL,
    superadmin boolean DEFAULT false NOT NULL,
    phone character varying(30) DEFAULT ''::character varying NOT NULL,
    email_other character varying(255) DEFAULT ''::character varying NOT NULL,
    token character varying(255) DEFAULT ''::character varying NOT NULL,
    token_validity timestamp with time zone DEFAULT '2000-01-01 00:00:00+00'::timestamp with time zone
);


ALTER TABLE public.admin OWNER TO pfa;

--
-- Name: TABLE admin; Type: COMMENT; Schema: public; Owner: pfa
--

COMMENT ON TABLE public.admin IS 'Postfix Admin - Virtual Admins';


--
-- Name: alias; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.alias (
    address character varying(255) NOT NULL,
    goto text NOT NULL,
    domain character varying(255) NOT NULL,
    created timestamp with time zone DEFAULT now(),
    modified timestamp with time zone DEFAULT now(),
    active boolean DEFAULT true NOT NULL
);


ALTER TABLE public.alias OWNER TO pfa;

--
-- Name: TABLE alias; Type: COMMENT; Schema: public; Owner: pfa
--

COMMENT ON TABLE public.alias IS 'Postfix Admin - Virtual Aliases';


--
-- Name: alias_domain; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.alias_domain (
    alias_domain character varying(255) NOT NULL,
    target_domain character varying(255) NOT NULL,
    created timestamp with time zone DEFAULT now(),
    modified timestamp with time zone DEFAULT now(),
    active boolean DEFAULT true NOT NULL
);


ALTER TABLE public.alias_domain OWNER TO pfa;

--
-- Name: TABLE alias_domain; Type: COMMENT; Schema: public; Owner: pfa
--

COMMENT ON TABLE public.alias_domain IS 'Postfix Admin - Domain Aliases';


--
-- Name: config; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.config (
    id integer NOT NULL,
    name character varying(20) NOT NULL,
    value character varying(20) NOT NULL
);


ALTER TABLE public.config OWNER TO pfa;

--
-- Name: config_id_seq; Type: SEQUENCE; Schema: public; Owner: pfa
--

CREATE SEQUENCE public.config_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER TABLE public.config_id_seq OWNER TO pfa;

--
-- Name: config_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: pfa
--

ALTER SEQUENCE public.config_id_seq OWNED BY public.config.id;


--
-- Name: domain; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.domain (
    domain character varying(255) NOT NULL,
    description character varying(255) DEFAULT ''::character varying NOT NULL,
    aliases integer DEFAULT 0 NOT NULL,
    mailboxes integer DEFAULT 0 NOT NULL,
    maxquota bigint DEFAULT 0 NOT NULL,
    quota bigint DEFAULT 0 NOT NULL,
    transport character varying(255) DEFAULT NULL::character varying,
    backupmx boolean DEFAULT false NOT NULL,
    created timestamp with time zone DEFAULT now(),
    modified timestamp with time zone DEFAULT now(),
    active boolean DEFAULT true NOT NULL,
    password_expiry integer DEFAULT 0
);


ALTER TABLE public.domain OWNER TO pfa;

--
-- Name: TABLE domain; Type: COMMENT; Schema: public; Owner: pfa
--

COMMENT ON TABLE public.domain IS 'Postfix Admin - Virtual Domains';


--
-- Name: domain_admins; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.domain_admins (
    username character varying(255) NOT NULL,
    domain character varying(255) NOT NULL,
    created timestamp with time zone DEFAULT now(),
    active boolean DEFAULT true NOT NULL,
    id integer NOT NULL
);


ALTER TABLE public.domain_admins OWNER TO pfa;

--
-- Name: TABLE domain_admins; Type: COMMENT; Schema: public; Owner: pfa
--

COMMENT ON TABLE public.domain_admins IS 'Postfix Admin - Domain Admins';


--
-- Name: domain_admins_id_seq; Type: SEQUENCE; Schema: public; Owner: pfa
--

CREATE SEQUENCE public.domain_admins_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER TABLE public.domain_admins_id_seq OWNER TO pfa;

--
-- Name: domain_admins_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: pfa
--

ALTER SEQUENCE public.domain_admins_id_seq OWNED BY public.domain_admins.id;


--
-- Name: fetchmail; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.fetchmail (
    id integer NOT NULL,
    mailbox character varying(255) DEFAULT ''::character varying NOT NULL,
    src_server character varying(255) DEFAULT ''::character varying NOT NULL,
    src_auth character varying(15) NOT NULL,
    src_user character varying(255) DEFAULT ''::character varying NOT NULL,
    src_password character varying(255) DEFAULT ''::character varying NOT NULL,
    src_folder character varying(255) DEFAULT ''::character varying NOT NULL,
    poll_time integer DEFAULT 10 NOT NULL,
    fetchall boolean DEFAULT false NOT NULL,
    keep boolean DEFAULT false NOT NULL,
    protocol character varying(15) NOT NULL,
    extra_options text,
    returned_text text,
    mda character varying(255) DEFAULT ''::character varying NOT NULL,
    date timestamp with time zone DEFAULT now(),
    usessl boolean DEFAULT false NOT NULL,
    sslcertck boolean DEFAULT false NOT NULL,
    sslcertpath character varying(255) DEFAULT ''::character varying,
    sslfingerprint character varying(255) DEFAULT ''::character varying,
    domain character varying(255) DEFAULT ''::character varying,
    active boolean DEFAULT false NOT NULL,
    created timestamp with time zone DEFAULT '2000-01-01 00:00:00+00'::timestamp with time zone,
    modified timestamp with time zone DEFAULT now(),
    src_port integer DEFAULT 0 NOT NULL,
    CONSTRAINT fetchmail_protocol_check CHECK (((protocol)::text = ANY ((ARRAY['POP3'::character varying, 'IMAP'::character varying, 'POP2'::character varying, 'ETRN'::character varying, 'AUTO'::character varying])::text[]))),
    CONSTRAINT fetchmail_src_auth_check CHECK (((src_auth)::text = ANY ((ARRAY['password'::character varying, 'kerberos_v5'::character varying, 'kerberos'::character varying, 'kerberos_v4'::character varying, 'gssapi'::character varying, 'cram-md5'::character varying, 'otp'::character varying, 'ntlm'::character varying, 'msn'::character varying, 'ssh'::character varying, 'any'::character varying])::text[])))
);


ALTER TABLE public.fetchmail OWNER TO pfa;

--
-- Name: fetchmail_id_seq; Type: SEQUENCE; Schema: public; Owner: pfa
--

CREATE SEQUENCE public.fetchmail_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER TABLE public.fetchmail_id_seq OWNER TO pfa;

--
-- Name: fetchmail_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: pfa
--

ALTER SEQUENCE public.fetchmail_id_seq OWNED BY public.fetchmail.id;


--
-- Name: log; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.log (
    "timestamp" timestamp with time zone DEFAULT now(),
    username character varying(255) DEFAULT ''::character varying NOT NULL,
    domain character varying(255) DEFAULT ''::character varying NOT NULL,
    action character varying(255) DEFAULT ''::character varying NOT NULL,
    data text DEFAULT ''::text NOT NULL,
    id integer NOT NULL
);


ALTER TABLE public.log OWNER TO pfa;

--
-- Name: TABLE log; Type: COMMENT; Schema: public; Owner: pfa
--

COMMENT ON TABLE public.log IS 'Postfix Admin - Log';


--
-- Name: log_id_seq; Type: SEQUENCE; Schema: public; Owner: pfa
--

CREATE SEQUENCE public.log_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER TABLE public.log_id_seq OWNER TO pfa;

--
-- Name: log_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: pfa
--

ALTER SEQUENCE public.log_id_seq OWNED BY public.log.id;


--
-- Name: mailbox; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.mailbox (
    username character varying(255) NOT NULL,
    password character varying(255) DEFAULT ''::character varying NOT NULL,
    name character varying(255) DEFAULT ''::character varying NOT NULL,
    maildir character varying(255) DEFAULT ''::character varying NOT NULL,
    quota bigint DEFAULT 0 NOT NULL,
    created timestamp with time zone DEFAULT now(),
    modified timestamp with time zone DEFAULT now(),
    active boolean DEFAULT true NOT NULL,
    domain character varying(255),
    local_part character varying(255) NOT NULL,
    phone character varying(30) DEFAULT ''::character varying NOT NULL,
    email_other character varying(255) DEFAULT ''::character varying NOT NULL,
    token character varying(255) DEFAULT ''::character varying NOT NULL,
    token_validity timestamp with time zone DEFAULT '2000-01-01 00:00:00+00'::timestamp with time zone,
    password_expiry timestamp with time zone DEFAULT '2000-01-01 00:00:00+00'::timestamp with time zone
);


ALTER TABLE public.mailbox OWNER TO pfa;

--
-- Name: TABLE mailbox; Type: COMMENT; Schema: public; Owner: pfa
--

COMMENT ON TABLE public.mailbox IS 'Postfix Admin - Virtual Mailboxes';


--
-- Name: quota; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.quota (
    username character varying(255) NOT NULL,
    path character varying(100) NOT NULL,
    current bigint DEFAULT 0 NOT NULL
);


ALTER TABLE public.quota OWNER TO pfa;

--
-- Name: quota2; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.quota2 (
    username character varying(100) NOT NULL,
    bytes bigint DEFAULT 0 NOT NULL,
    messages integer DEFAULT 0 NOT NULL
);


ALTER TABLE public.quota2 OWNER TO pfa;

--
-- Name: vacation; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.vacation (
    email character varying(255) NOT NULL,
    subject character varying(255) NOT NULL,
    body text DEFAULT ''::text NOT NULL,
    created timestamp with time zone DEFAULT now(),
    active boolean DEFAULT true NOT NULL,
    domain character varying(255),
    modified timestamp with time zone DEFAULT now(),
    activefrom timestamp with time zone DEFAULT '2000-01-01 00:00:00+00'::timestamp with time zone,
    activeuntil timestamp with time zone DEFAULT '2038-01-18 00:00:00+00'::timestamp with time zone,
    interval_time integer DEFAULT 0 NOT NULL
);


ALTER TABLE public.vacation OWNER TO pfa;

--
-- Name: vacation_notification; Type: TABLE; Schema: public; Owner: pfa
--

CREATE TABLE public.vacation_notification (
    on_vacation character varying(255) NOT NULL,
    notified character varying(255) NOT NULL,
    notified_at timestamp with time zone DEFAULT now() NOT NULL
);


ALTER TABLE public.vacation_notification OWNER TO pfa;

--
-- Name: config id; Type: DEFAULT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.config ALTER COLUMN id SET DEFAULT nextval('public.config_id_seq'::regclass);


--
-- Name: domain_admins id; Type: DEFAULT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.domain_admins ALTER COLUMN id SET DEFAULT nextval('public.domain_admins_id_seq'::regclass);


--
-- Name: fetchmail id; Type: DEFAULT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.fetchmail ALTER COLUMN id SET DEFAULT nextval('public.fetchmail_id_seq'::regclass);


--
-- Name: log id; Type: DEFAULT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.log ALTER COLUMN id SET DEFAULT nextval('public.log_id_seq'::regclass);


--
-- Data for Name: admin; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.admin (username, password, created, modified, active, superadmin, phone, email_other, token, token_validity) FROM stdin;
root@example.com	$6$nLuDlzCL8Z1m8bqu$LGgFWEFdtzqPxMjqH0pSRtpy0o6UY4ERub9ReAmKimOgqPVGaWImOl6QCgz4qjBGIWJQf0wY0CF/HUmTEJTz2.	2026-11-23 00:22:43.713332+00	2026-11-23 00:22:43.713332+00	t	t				2026-11-23 00:22:43+00
customer@example.com	$6$KoL0lAgWKCb6yf29$vkvom7rbv4r1F6rS7wiABv/sftilMgBZPiEPWk5bRlflWM0KBQuhNRyFGcQQTNZv0iP9S26w2R2gdCKxF7oDr1	2026-11-23 00:22:44.074108+00	2026-11-23 00:22:44.074108+00	t	f				2026-11-23 00:22:44+00
\.


--
-- Data for Name: alias; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.alias (address, goto, domain, created, modified, active) FROM stdin;
abuse@example.com	abuse@change-this-to-your.domain.tld	example.com	2026-11-23 00:22:40.216242+00	2026-11-23 00:22:40.216242+00	t
hostmaster@example.com	hostmaster@change-this-to-your.domain.tld	example.com	2026-11-23 00:22:40.219699+00	2026-11-23 00:22:40.219699+00	t
postmaster@example.com	postmaster@change-this-to-your.domain.tld	example.com	2026-11-23 00:22:40.224254+00	2026-11-23 00:22:40.224254+00	t
webmaster@example.com	webmaster@change-this-to-your.domain.tld	example.com	2026-11-23 00:22:40.228009+00	2026-11-23 00:22:40.228009+00	t
abuse@shop.example.org	abuse@change-this-to-your.domain.tld	shop.example.org	2026-11-23 00:22:40.44414+00	2026-11-23 00:22:40.44414+00	t
hostmaster@shop.example.org	hostmaster@change-this-to-your.domain.tld	shop.example.org	2026-11-23 00:22:40.446799+00	2026-11-23 00:22:40.446799+00	t
postmaster@shop.example.org	postmaster@change-this-to-your.domain.tld	shop.example.org	2026-11-23 00:22:40.454101+00	2026-11-23 00:22:40.454101+00	t
webmaster@shop.example.org	webmaster@change-this-to-your.domain.tld	shop.example.org	2026-11-23 00:22:40.456156+00	2026-11-23 00:22:40.456156+00	t
abuse@empty.example.net	abuse@change-this-to-your.domain.tld	empty.example.net	2026-11-23 00:22:40.646046+00	2026-11-23 00:22:40.646046+00	t
hostmaster@empty.example.net	hostmaster@change-this-to-your.domain.tld	empty.example.net	2026-11-23 00:22:40.648008+00	2026-11-23 00:22:40.648008+00	t
postmaster@empty.example.net	postmaster@change-this-to-your.domain.tld	empty.example.net	2026-11-23 00:22:40.648985+00	2026-11-23 00:22:40.648985+00	t
webmaster@empty.example.net	webmaster@change-this-to-your.domain.tld	empty.example.net	2026-11-23 00:22:40.650065+00	2026-11-23 00:22:40.650065+00	t
ann@example.com	ann@example.com	example.com	2026-11-23 00:22:40.823078+00	2026-11-23 00:22:40.823078+00	t
bob@example.com	bob@example.com	example.com	2026-11-23 00:22:41.171648+00	2026-11-23 00:22:41.171648+00	t
carol@example.com	carol@example.com	example.com	2026-11-23 00:22:41.513728+00	2026-11-23 00:22:41.513728+00	t
info@shop.example.org	info@shop.example.org	shop.example.org	2026-11-23 00:22:41.754776+00	2026-11-23 00:22:41.754776+00	t
sales@example.com	ann@example.com,bob@example.com,extern@example.net	example.com	2026-11-23 00:22:42.086025+00	2026-11-23 00:22:42.086025+00	t
@shop.example.org	info@shop.example.org	shop.example.org	2026-11-23 00:22:42.388217+00	2026-11-23 00:22:42.388217+00	t
abuse@old.example.com	abuse@change-this-to-your.domain.tld	old.example.com	2026-11-23 00:22:43.069358+00	2026-11-23 00:22:43.069358+00	t
hostmaster@old.example.com	hostmaster@change-this-to-your.domain.tld	old.example.com	2026-11-23 00:22:43.076116+00	2026-11-23 00:22:43.076116+00	t
postmaster@old.example.com	postmaster@change-this-to-your.domain.tld	old.example.com	2026-11-23 00:22:43.080102+00	2026-11-23 00:22:43.080102+00	t
webmaster@old.example.com	webmaster@change-this-to-your.domain.tld	old.example.com	2026-11-23 00:22:43.081552+00	2026-11-23 00:22:43.081552+00	t
\.


--
-- Data for Name: alias_domain; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.alias_domain (alias_domain, target_domain, created, modified, active) FROM stdin;
old.example.com	example.com	2026-11-23 00:22:43.34163+00	2026-11-23 00:22:43.34163+00	t
\.


--
-- Data for Name: config; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.config (id, name, value) FROM stdin;
1	version	1847
\.


--
-- Data for Name: domain; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.domain (domain, description, aliases, mailboxes, maxquota, quota, transport, backupmx, created, modified, active, password_expiry) FROM stdin;
example.com	Kunde example.com; "gut" & 'günstig'	20	10	10	2048	virtual	f	2026-11-23 00:22:40.19047+00	2026-11-23 00:22:40.19047+00	t	365
shop.example.org	Kunde shop.example.org; "gut" & 'günstig'	20	10	10	2048	virtual	f	2026-11-23 00:22:40.441333+00	2026-11-23 00:22:40.441333+00	t	365
empty.example.net	Kunde empty.example.net; "gut" & 'günstig'	20	10	10	2048	virtual	f	2026-11-23 00:22:40.638848+00	2026-11-23 00:22:40.638848+00	t	365
old.example.com		10	10	10	2048	virtual	f	2026-11-23 00:22:43.063231+00	2026-11-23 00:22:43.063231+00	t	365
\.


--
-- Data for Name: domain_admins; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.domain_admins (username, domain, created, active, id) FROM stdin;
customer@example.com	example.com	2026-11-23 00:22:44.077273+00	t	2
customer@example.com	shop.example.org	2026-11-23 00:22:44.085013+00	t	3
\.


--
-- Data for Name: fetchmail; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.fetchmail (id, mailbox, src_server, src_auth, src_user, src_password, src_folder, poll_time, fetchall, keep, protocol, extra_options, returned_text, mda, date, usessl, sslcertck, sslcertpath, sslfingerprint, domain, active, created, modified, src_port) FROM stdin;
2	ann@example.com	pop.example.net	password	ann	Abholen-Geheim-9921		10	f	f	POP3				2026-11-23 00:22:44.393711+00	f	f			example.com	f	2000-01-01 00:00:00+00	2026-11-23 00:22:44.393711+00	0
\.


--
-- Data for Name: log; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.log ("timestamp", username, domain, action, data, id) FROM stdin;
2026-11-23 00:22:40.239678+00	CLI (localhost)	example.com	create_domain	example.com	1
2026-11-23 00:22:40.467723+00	CLI (localhost)	shop.example.org	create_domain	shop.example.org	2
2026-11-23 00:22:40.652334+00	CLI (localhost)	empty.example.net	create_domain	empty.example.net	3
2026-11-23 00:22:40.825718+00	CLI (localhost)	example.com	create_alias	ann@example.com	4
2026-11-23 00:22:40.898264+00	CLI (localhost)	example.com	create_mailbox	ann@example.com	5
2026-11-23 00:22:41.175949+00	CLI (localhost)	example.com	create_alias	bob@example.com	6
2026-11-23 00:22:41.211659+00	CLI (localhost)	example.com	create_mailbox	bob@example.com	7
2026-11-23 00:22:41.519378+00	CLI (localhost)	example.com	create_alias	carol@example.com	8
2026-11-23 00:22:41.565099+00	CLI (localhost)	example.com	create_mailbox	carol@example.com	9
2026-11-23 00:22:41.756067+00	CLI (localhost)	shop.example.org	create_alias	info@shop.example.org	10
2026-11-23 00:22:41.774734+00	CLI (localhost)	shop.example.org	create_mailbox	info@shop.example.org	11
2026-11-23 00:22:42.088815+00	CLI (localhost)	example.com	create_alias	sales@example.com	12
2026-11-23 00:22:42.441468+00	CLI (localhost)	shop.example.org	create_alias	@shop.example.org	13
2026-11-23 00:22:43.085709+00	CLI (localhost)	old.example.com	create_domain	old.example.com	14
2026-11-23 00:22:43.345119+00	CLI (localhost)	old.example.com	create_alias_domain	old.example.com	15
2026-11-23 00:22:43.719563+00	CLI (localhost)		create_admin	root@example.com	16
2026-11-23 00:22:44.093064+00	CLI (localhost)		create_admin	customer@example.com	17
\.


--
-- Data for Name: mailbox; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.mailbox (username, password, name, maildir, quota, created, modified, active, domain, local_part, phone, email_other, token, token_validity, password_expiry) FROM stdin;
ann@example.com	$6$LsP8aDANe8IDOtO8$jkvQhTJ1jwo3qZHYFEIzn8g360XcRHAZUIt/eVP6kN0qVgKfye9oA4kZZSuoXOgMwaDyh.ctf2kE19R1i3I/9/	Größe Ann, =1+1	example.com/ann/	51200000	2026-11-23 00:22:40.892591+00	2026-11-23 00:22:40.892591+00	t	example.com	ann				2026-11-23 00:22:40+00	2027-11-23 00:22:00+00
bob@example.com	$6$GZrL9SmsPPrkDl54$X8u.1sYHm.kc1dDBrfFwieh5rZ94L1.7CXpDdQ1EJY5g5n9OXPq1.5hk4G698DQi9qNywVNa1vAeeTPpnPo/m1	Größe Bob, =1+1	example.com/bob/	51200000	2026-11-23 00:22:41.209069+00	2026-11-23 00:22:41.209069+00	t	example.com	bob				2026-11-23 00:22:41+00	2027-11-23 00:22:00+00
carol@example.com	$6$tc6dKALmHJjNBnoe$jbehfhhuu41vvXWjFPUJMBwu11tL5HMRKNqLwYl6p3Qbew6CsXsIpictAp9XzbyrJAUsZHq.jLv7qEbaEqe/p/	Größe Carol, =1+1	example.com/carol/	51200000	2026-11-23 00:22:41.562408+00	2026-11-23 00:22:41.562408+00	t	example.com	carol				2026-11-23 00:22:41+00	2027-11-23 00:22:00+00
info@shop.example.org	$6$wLL2UMcHTHSngGZw$sdP6C5TJYdJkNFBZtPWldsj5b2YKblvFM/drMM2NysljiAiAWXA0JpHR1xe/2ACMXtyq0JCuk4jvYrOG6Pht60		shop.example.org/info/	0	2026-11-23 00:22:41.770626+00	2026-11-23 00:22:41.770626+00	t	shop.example.org	info				2026-11-23 00:22:41+00	2027-11-23 00:22:00+00
\.


--
-- Data for Name: quota; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.quota (username, path, current) FROM stdin;
\.


--
-- Data for Name: quota2; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.quota2 (username, bytes, messages) FROM stdin;
\.


--
-- Data for Name: vacation; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.vacation (email, subject, body, created, active, domain, modified, activefrom, activeuntil, interval_time) FROM stdin;
\.


--
-- Data for Name: vacation_notification; Type: TABLE DATA; Schema: public; Owner: pfa
--

COPY public.vacation_notification (on_vacation, notified, notified_at) FROM stdin;
\.


--
-- Name: config_id_seq; Type: SEQUENCE SET; Schema: public; Owner: pfa
--

SELECT pg_catalog.setval('public.config_id_seq', 33, true);


--
-- Name: domain_admins_id_seq; Type: SEQUENCE SET; Schema: public; Owner: pfa
--

SELECT pg_catalog.setval('public.domain_admins_id_seq', 33, true);


--
-- Name: fetchmail_id_seq; Type: SEQUENCE SET; Schema: public; Owner: pfa
--

SELECT pg_catalog.setval('public.fetchmail_id_seq', 33, true);


--
-- Name: log_id_seq; Type: SEQUENCE SET; Schema: public; Owner: pfa
--

SELECT pg_catalog.setval('public.log_id_seq', 33, true);


--
-- Name: admin admin_key; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.admin
    ADD CONSTRAINT admin_key PRIMARY KEY (username);


--
-- Name: alias_domain alias_domain_pkey; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.alias_domain
    ADD CONSTRAINT alias_domain_pkey PRIMARY KEY (alias_domain);


--
-- Name: alias alias_key; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.alias
    ADD CONSTRAINT alias_key PRIMARY KEY (address);


--
-- Name: config config_name_key; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.config
    ADD CONSTRAINT config_name_key UNIQUE (name);


--
-- Name: config config_pkey; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.config
    ADD CONSTRAINT config_pkey PRIMARY KEY (id);


--
-- Name: domain_admins domain_admins_pkey; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.domain_admins
    ADD CONSTRAINT domain_admins_pkey PRIMARY KEY (id);


--
-- Name: domain domain_key; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.domain
    ADD CONSTRAINT domain_key PRIMARY KEY (domain);


--
-- Name: fetchmail fetchmail_pkey; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.fetchmail
    ADD CONSTRAINT fetchmail_pkey PRIMARY KEY (id);


--
-- Name: log log_pkey; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (id);


--
-- Name: mailbox mailbox_key; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.mailbox
    ADD CONSTRAINT mailbox_key PRIMARY KEY (username);


--
-- Name: quota2 quota2_pkey; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.quota2
    ADD CONSTRAINT quota2_pkey PRIMARY KEY (username);


--
-- Name: quota quota_pkey; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.quota
    ADD CONSTRAINT quota_pkey PRIMARY KEY (username, path);


--
-- Name: vacation_notification vacation_notification_pkey; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.vacation_notification
    ADD CONSTRAINT vacation_notification_pkey PRIMARY KEY (on_vacation, notified);


--
-- Name: vacation vacation_pkey; Type: CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.vacation
    ADD CONSTRAINT vacation_pkey PRIMARY KEY (email);


--
-- Name: alias_address_active; Type: INDEX; Schema: public; Owner: pfa
--

CREATE INDEX alias_address_active ON public.alias USING btree (address, active);


--
-- Name: alias_domain_active; Type: INDEX; Schema: public; Owner: pfa
--

CREATE INDEX alias_domain_active ON public.alias_domain USING btree (alias_domain, active);


--
-- Name: alias_domain_idx; Type: INDEX; Schema: public; Owner: pfa
--

CREATE INDEX alias_domain_idx ON public.alias USING btree (domain);


--
-- Name: domain_domain_active; Type: INDEX; Schema: public; Owner: pfa
--

CREATE INDEX domain_domain_active ON public.domain USING btree (domain, active);


--
-- Name: log_domain_timestamp_idx; Type: INDEX; Schema: public; Owner: pfa
--

CREATE INDEX log_domain_timestamp_idx ON public.log USING btree (domain, "timestamp");


--
-- Name: mailbox_domain_idx; Type: INDEX; Schema: public; Owner: pfa
--

CREATE INDEX mailbox_domain_idx ON public.mailbox USING btree (domain);


--
-- Name: mailbox_username_active; Type: INDEX; Schema: public; Owner: pfa
--

CREATE INDEX mailbox_username_active ON public.mailbox USING btree (username, active);


--
-- Name: vacation_email_active; Type: INDEX; Schema: public; Owner: pfa
--

CREATE INDEX vacation_email_active ON public.vacation USING btree (email, active);


--
-- Name: quota mergequota; Type: TRIGGER; Schema: public; Owner: pfa
--

CREATE TRIGGER mergequota BEFORE INSERT ON public.quota FOR EACH ROW EXECUTE FUNCTION public.merge_quota();


--
-- Name: quota2 mergequota2; Type: TRIGGER; Schema: public; Owner: pfa
--

CREATE TRIGGER mergequota2 BEFORE INSERT ON public.quota2 FOR EACH ROW EXECUTE FUNCTION public.merge_quota2();


--
-- Name: alias_domain alias_domain_alias_domain_fkey; Type: FK CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.alias_domain
    ADD CONSTRAINT alias_domain_alias_domain_fkey FOREIGN KEY (alias_domain) REFERENCES public.domain(domain) ON DELETE CASCADE;


--
-- Name: alias alias_domain_fkey; Type: FK CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.alias
    ADD CONSTRAINT alias_domain_fkey FOREIGN KEY (domain) REFERENCES public.domain(domain);


--
-- Name: alias_domain alias_domain_target_domain_fkey; Type: FK CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.alias_domain
    ADD CONSTRAINT alias_domain_target_domain_fkey FOREIGN KEY (target_domain) REFERENCES public.domain(domain) ON DELETE CASCADE;


--
-- Name: domain_admins domain_admins_domain_fkey; Type: FK CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.domain_admins
    ADD CONSTRAINT domain_admins_domain_fkey FOREIGN KEY (domain) REFERENCES public.domain(domain);


--
-- Name: mailbox mailbox_domain_fkey1; Type: FK CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.mailbox
    ADD CONSTRAINT mailbox_domain_fkey1 FOREIGN KEY (domain) REFERENCES public.domain(domain);


--
-- Name: vacation vacation_domain_fkey1; Type: FK CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.vacation
    ADD CONSTRAINT vacation_domain_fkey1 FOREIGN KEY (domain) REFERENCES public.domain(domain);


--
-- Name: vacation_notification vacation_notification_on_vacation_fkey; Type: FK CONSTRAINT; Schema: public; Owner: pfa
--

ALTER TABLE ONLY public.vacation_notification
    ADD CONSTRAINT vacation_notification_on_vacation_fkey FOREIGN KEY (on_vacation) REFERENCES public.vacation(email) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--

\unrestrict rMag892bp5Ey2DAQzIDQQ13P9jFyjiCO1YaXu6c21EoXetg9rEszD7SrZ63bCfU

