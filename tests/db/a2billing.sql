-- A made-up A2Billing database: the columns that the importer reads, and a few that it must pass over.
CREATE TABLE cc_config (config_key VARCHAR(100), config_value VARCHAR(200));
INSERT INTO cc_config VALUES ('base_currency', 'eur'), ('asterisk_version', '11');

CREATE TABLE cc_prefix (prefix BIGINT PRIMARY KEY, destination VARCHAR(60) NOT NULL);
INSERT INTO cc_prefix VALUES (49, 'Germany'), (4915, 'Germany mobile'), (33, 'France'), (1, 'North America');

CREATE TABLE cc_tariffplan (
  id INT PRIMARY KEY, iduser INT NOT NULL DEFAULT 0, tariffname CHAR(50) NOT NULL,
  startingdate TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00',
  expirationdate TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00', description MEDIUMTEXT,
  dnidprefix CHAR(30) NOT NULL DEFAULT 'all', calleridprefix CHAR(30) NOT NULL DEFAULT 'all'
);
INSERT INTO cc_tariffplan (id, tariffname, startingdate, expirationdate, calleridprefix) VALUES
  (1, 'Europe', '2020-01-01 00:00:00', '2037-01-01 00:00:00', 'all'),
  (2, 'Europe cheap', '2020-01-01 00:00:00', '2037-01-01 00:00:00', 'all'),
  (3, 'For one caller', '2020-01-01 00:00:00', '2037-01-01 00:00:00', '4930');

CREATE TABLE cc_tariffgroup (
  id INT PRIMARY KEY, iduser INT NOT NULL DEFAULT 0, tariffgroupname CHAR(50) NOT NULL,
  lcrtype INT NOT NULL DEFAULT 0, id_cc_package_offer BIGINT NOT NULL DEFAULT -1
);
INSERT INTO cc_tariffgroup (id, tariffgroupname, lcrtype, id_cc_package_offer) VALUES
  (1, 'Retail', 1, -1), (2, 'Business', 1, 4);

CREATE TABLE cc_tariffgroup_plan (
  idtariffgroup INT NOT NULL, idtariffplan INT NOT NULL, PRIMARY KEY (idtariffgroup, idtariffplan)
);
INSERT INTO cc_tariffgroup_plan VALUES (1, 1), (1, 2), (1, 3), (2, 1);

CREATE TABLE cc_ratecard (
  id INT PRIMARY KEY, idtariffplan INT NOT NULL, dialprefix CHAR(30) NOT NULL, destination BIGINT,
  buyrate DECIMAL(15,5) NOT NULL DEFAULT 0, rateinitial DECIMAL(15,5) NOT NULL DEFAULT 0,
  initblock INT NOT NULL DEFAULT 0, billingblock INT NOT NULL DEFAULT 0,
  connectcharge DECIMAL(15,5) NOT NULL DEFAULT 0, disconnectcharge DECIMAL(15,5) NOT NULL DEFAULT 0,
  disconnectcharge_after INT NOT NULL DEFAULT 0, stepchargea DECIMAL(15,5) NOT NULL DEFAULT 0,
  chargea DECIMAL(15,5) NOT NULL DEFAULT 0, timechargea INT NOT NULL DEFAULT 0,
  rounding_calltime INT NOT NULL DEFAULT 0, rounding_threshold INT NOT NULL DEFAULT 0,
  additional_block_charge DECIMAL(15,5) NOT NULL DEFAULT 0, additional_block_charge_time INT NOT NULL DEFAULT 0,
  additional_grace INT NOT NULL DEFAULT 0, minimal_cost DECIMAL(15,5) NOT NULL DEFAULT 0,
  startdate TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, stopdate TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00',
  starttime SMALLINT UNSIGNED DEFAULT 0, endtime SMALLINT UNSIGNED DEFAULT 10079, tag CHAR(50)
);
INSERT INTO cc_ratecard (id, idtariffplan, dialprefix, destination, buyrate, rateinitial, initblock, billingblock,
                         connectcharge, startdate, stopdate) VALUES
  (1, 1, '49', 49, 0.10000, 0.60000, 0, 1, 0.00000, '2020-01-01 00:00:00', '2037-01-01 00:00:00'),
  (2, 2, '49', 49, 0.12000, 0.54321, 30, 6, 0.05000, '2020-01-01 00:00:00', '2037-01-01 00:00:00'),
  (3, 1, '4915', 4915, 0.20000, 1.20000, 10, 6, 0.00000, '2020-01-01 00:00:00', '0000-00-00 00:00:00'),
  (4, 1, '33', 33, 0.10000, 0.40000, 60, 60, 0.00000, '2020-01-01 00:00:00', '2021-01-01 00:00:00'),
  (5, 1, '33', 33, 0.10000, 0.50000, 60, 60, 0.00000, '2021-01-01 00:00:00', '2037-01-01 00:00:00'),
  (6, 3, '4930', 49, 0.10000, 0.01000, 0, 1, 0.00000, '2020-01-01 00:00:00', '2037-01-01 00:00:00'),
  (7, 1, 'defaultprefix', 0, 0.90000, 9.00000, 60, 60, 0.00000, '2020-01-01 00:00:00', '2037-01-01 00:00:00'),
  (8, 1, '_39ZX.', 39, 0.10000, 0.60000, 0, 1, 0.00000, '2020-01-01 00:00:00', '2037-01-01 00:00:00');
INSERT INTO cc_ratecard (id, idtariffplan, dialprefix, destination, rateinitial, minimal_cost, startdate, stopdate)
VALUES (9, 1, '44', 44, 0.30000, 0.10000, '2020-01-01 00:00:00', '2037-01-01 00:00:00');

CREATE TABLE cc_card (
  id BIGINT PRIMARY KEY, creationdate TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  firstusedate TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00',
  expirationdate TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00', enableexpire INT DEFAULT 0, expiredays INT DEFAULT 0,
  username VARCHAR(50) NOT NULL, useralias VARCHAR(50) NOT NULL DEFAULT '', uipass VARCHAR(50) NOT NULL DEFAULT '',
  credit DECIMAL(15,5) NOT NULL DEFAULT 0, tariff INT DEFAULT 0, activated CHAR(1) NOT NULL DEFAULT 't',
  status INT NOT NULL DEFAULT 1, lastname VARCHAR(50) NOT NULL DEFAULT '', simultaccess INT DEFAULT 0,
  currency CHAR(3) DEFAULT 'USD', typepaid INT DEFAULT 0, creditlimit INT DEFAULT 0,
  max_concurrent INT NOT NULL DEFAULT 10
);
INSERT INTO cc_card (id, username, credit, tariff, status, currency, creationdate) VALUES
  (1, '4711000101', 12.34567, 1, 1, 'USD', '2025-01-01 00:00:00'),
  (2, '4711000202', 0.00000, 1, 1, 'EUR', '2025-01-01 00:00:00'),
  (3, '4711000303', 7.50000, 1, 0, 'EUR', '2025-01-01 00:00:00'),
  (4, '4711000404', 3.00000, 1, 6, 'EUR', '2025-01-01 00:00:00'),
  (5, '4711000505', 1.00000, 9, 1, 'EUR', '2025-01-01 00:00:00'),
  (6, 'no number', 2.00000, 1, 1, 'EUR', '2025-01-01 00:00:00');
INSERT INTO cc_card (id, username, credit, tariff, status, currency, simultaccess, typepaid, creditlimit, creationdate)
VALUES (7, '4711000707', -4.25000, 2, 1, 'EUR', 1, 1, 50, '2025-01-01 00:00:00');
INSERT INTO cc_card (id, username, credit, tariff, status, enableexpire, expirationdate) VALUES
  (8, '4711000808', 5.00000, 1, 1, 1, '2036-06-01 00:00:00');

CREATE TABLE cc_callerid (
  id BIGINT PRIMARY KEY, cid VARCHAR(100) NOT NULL, id_cc_card BIGINT NOT NULL, activated CHAR(1) NOT NULL DEFAULT 't'
);
INSERT INTO cc_callerid VALUES (1, '4930555001', 1, 't'), (2, '+4930555002', 1, 't'), (3, 'anonymous', 2, 't');

CREATE TABLE cc_sip_buddies (
  id INT PRIMARY KEY, id_cc_card INT NOT NULL DEFAULT 0, name VARCHAR(80) NOT NULL, username VARCHAR(80) NOT NULL,
  secret VARCHAR(80) NOT NULL, md5secret VARCHAR(80) NOT NULL DEFAULT '', host VARCHAR(31) NOT NULL DEFAULT 'dynamic'
);
INSERT INTO cc_sip_buddies (id, id_cc_card, name, username, secret) VALUES
  (1, 7, 'office1', 'office1', 'made up 1'), (2, 7, 'office2', 'office2', 'made up 2');
