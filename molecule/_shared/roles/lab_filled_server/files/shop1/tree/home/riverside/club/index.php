<?php
$boats = [];
foreach (file(__DIR__ . '/boats.csv', FILE_IGNORE_NEW_LINES) as $line) {
    $boats[] = explode(',', $line);
}
?>
<!DOCTYPE html>
<html><head><title>Rowing club</title></head><body>
<h1>Rowing club Riverside</h1>
<table>
<?php foreach ($boats as [$name, $seats]) { ?>
<tr><td><?= htmlspecialchars($name) ?></td><td><?= (int) $seats ?></td></tr>
<?php } ?>
</table>
</body></html>
