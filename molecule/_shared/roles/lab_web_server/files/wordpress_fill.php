<?php
// SPDX-License-Identifier: GPL-3.0-or-later
// Installs the blog as wp-admin/install.php does, then writes pages, posts and comments with fixed dates.
$_SERVER['HTTP_HOST'] = 'blog.northwind.test';
$_SERVER['REQUEST_URI'] = '/';
$_SERVER['HTTPS'] = 'on';
define('WP_INSTALLING', true);
define('WP_SITEURL', 'https://blog.northwind.test');
function wp_new_blog_notification($title, $url, $user, $password) {}
function wp_mail($to, $subject, $message, $headers = '', $attachments = []) { return true; }
require '/usr/share/wordpress/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
if (is_blog_installed()) {
    exit(0);
}
wp_install('Northwind Magazine', 'editor', 'editor@northwind.test', true, '', 'lab-editor', 'en_US');
wp_installing(false);
switch_theme('northwind');
update_option('home', 'https://blog.northwind.test');
update_option('permalink_structure', '/%year%/%monthnum%/%postname%/');
update_option('timezone_string', 'Europe/Berlin');
update_option('blogdescription', 'Wind, water and words since 2013');
update_option('comment_moderation', '0');
update_option('posts_per_page', 8);
foreach (get_posts(['post_type' => ['post', 'page'], 'post_status' => 'any', 'numberposts' => -1]) as $old) {
    wp_delete_post($old->ID, true);
}
$author = wp_create_user('anna', 'lab-anna', 'anna@hilltop.test');
(new WP_User($author))->set_role('author');
$sections = [];
foreach (['Harbours', 'Recipes at sea', 'Wetter & Wind'] as $name) {
    $made = wp_insert_term($name, 'category');
    $sections[] = $made['term_id'];
}
$words = ['tide', 'rope', 'lantern', 'gull', 'Möwe', 'café', 'drift', 'mast', '鴎', 'anchor', 'salt', '🌊'];
for ($n = 1; $n <= 24; $n++) {
    $date = sprintf('20%02d-%02d-%02d 09:30:00', 13 + intdiv($n, 2), 1 + $n % 12, 1 + ($n * 7) % 28);
    $body = '';
    for ($p = 0; $p < 4; $p++) {
        $line = [];
        for ($w = 0; $w < 30; $w++) {
            $line[] = $words[($n * 31 + $p * 17 + $w * 7 + intdiv($w * $n, 3)) % count($words)];
        }
        $body .= '<p>' . ucfirst(implode(' ', $line)) . ".</p>\n";
    }
    $id = wp_insert_post([
        'post_title' => "Logbook entry $n: " . $words[$n % count($words)],
        'post_name' => "logbook-$n",
        'post_content' => $body,
        'post_status' => $n === 24 ? 'draft' : 'publish',
        'post_author' => $n % 3 ? 1 : $author,
        'post_date' => $date,
        'post_date_gmt' => $date,
        'post_category' => [$sections[$n % 3]],
        'tags_input' => [$words[$n % 5], 'logbook'],
    ], true);
    if (is_wp_error($id)) {
        fwrite(STDERR, $id->get_error_message() . "\n");
        exit(1);
    }
    for ($c = 0; $c < $n % 4; $c++) {
        wp_insert_comment([
            'comment_post_ID' => $id,
            'comment_author' => "Reader $c",
            'comment_author_email' => "reader$c@example.test",
            'comment_content' => "Comment $c on entry $n: " . $words[($n + $c) % count($words)],
            'comment_date' => $date,
            'comment_date_gmt' => $date,
            'comment_approved' => 1,
        ]);
    }
}
foreach (['About us', 'Imprint'] as $title) {
    wp_insert_post(['post_title' => $title, 'post_content' => "<p>$title of the magazine.</p>", 'post_type' => 'page',
                    'post_status' => 'publish', 'post_date' => '2013-05-01 10:00:00', 'post_date_gmt' => '2013-05-01 08:00:00']);
}
flush_rewrite_rules(false);
echo "changed: WordPress of blog.northwind.test\n";
