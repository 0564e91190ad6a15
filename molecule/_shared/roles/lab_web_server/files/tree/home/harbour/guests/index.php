<?php
// SPDX-License-Identifier: GPL-3.0-or-later
// Guest book: shows the entries; only a POST writes, so that looking at the page changes nothing.
$db = new PDO('sqlite:' . __DIR__ . '/guests.sqlite');
$db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $add = $db->prepare('INSERT INTO entry (written, name, words) VALUES (:written, :name, :words)');
    $add->execute([
        'written' => gmdate('Y-m-d H:i:s'),
        'name' => mb_substr((string) ($_POST['name'] ?? ''), 0, 80),
        'words' => mb_substr((string) ($_POST['words'] ?? ''), 0, 2000),
    ]);
    header('Location: /', true, 303);
    exit;
}
$rows = $db->query('SELECT written, name, words FROM entry ORDER BY id')->fetchAll(PDO::FETCH_ASSOC);
header('Content-Type: text/html; charset=utf-8');
?><!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Harbour Sailing Club: guest book</title></head>
<body>
<h1>Guest book</h1>
<p><?= count($rows) ?> entries</p>
<dl>
<?php foreach ($rows as $row) { ?>
<dt><?= htmlspecialchars($row['written'] . ' ' . $row['name']) ?></dt>
<dd><?= htmlspecialchars($row['words']) ?></dd>
<?php } ?>
</dl>
<form method="post"><input name="name"><textarea name="words"></textarea><button>Write</button></form>
</body>
</html>
