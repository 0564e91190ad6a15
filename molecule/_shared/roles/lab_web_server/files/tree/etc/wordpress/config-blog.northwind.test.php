<?php
// The magazine's blog; read by /usr/share/wordpress/wp-config.php for the host of this name.
define('DB_NAME', 'northwind_wp');
define('DB_USER', 'northwind_wp');
define('DB_PASSWORD', 'lab-northwind_wp');
define('DB_HOST', 'localhost');
define('DB_CHARSET', 'utf8mb4');
define('WP_CONTENT_DIR', '/var/lib/wordpress/wp-content');
define('WP_ALLOW_MULTISITE', false);
define('DISABLE_WP_CRON', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
define('DISALLOW_FILE_MODS', true);
foreach (['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY',
          'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT'] as $lab_name) {
    define($lab_name, hash('sha256', 'lab ' . $lab_name));
}
