#!/bin/sh
# Customers at work: writes into an InnoDB and a MyISAM table and into PostgreSQL, until the power goes.
while true; do
  mariadb -e "INSERT INTO diary.entries (told) VALUES (REPEAT('storm ', 40)); INSERT INTO shop.visits (page) VALUES ('live')"
  runuser -u postgres -- psql -q club -c "INSERT INTO members (name) VALUES ('latecomer')"
done >/dev/null 2>&1
