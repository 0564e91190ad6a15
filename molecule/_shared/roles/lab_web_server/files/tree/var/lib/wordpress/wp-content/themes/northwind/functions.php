<?php
// SPDX-License-Identifier: GPL-3.0-or-later
// The magazine's pages are plain: what WordPress adds for emoji and blocks is left out.
remove_action('wp_head', 'print_emoji_detection_script', 7);
remove_action('wp_print_styles', 'print_emoji_styles');
add_action('wp_enqueue_scripts', function () {
    wp_dequeue_style('global-styles');
    wp_dequeue_style('classic-theme-styles');
}, 100);
