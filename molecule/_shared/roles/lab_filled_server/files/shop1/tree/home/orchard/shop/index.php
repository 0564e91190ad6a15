<?php
// Orders and what is in stock.
$db = pg_connect("host=127.0.0.1 dbname=orchard_shop user=orchard_shop password=lab-orchard_shop");
if (!$db) {
    http_response_code(503);
    exit("The shop is closed: no database\n");
}
$row = pg_fetch_assoc(pg_query($db, "SELECT count(*) AS n, sum(pieces) AS p FROM shop.orders"));
$goods = pg_query($db, "SELECT name, stock FROM shop.goods ORDER BY id");
?>
<!DOCTYPE html>
<html><head><title>Orchard shop</title></head><body>
<h1>Orchard shop</h1>
<p><?= $row["n"] ?> orders, <?= $row["p"] ?> pieces</p>
<ul>
<?php while ($good = pg_fetch_assoc($goods)) { ?>
<li><?= htmlspecialchars($good["name"]) ?>: <?= $good["stock"] ?></li>
<?php } ?>
</ul>
</body></html>
