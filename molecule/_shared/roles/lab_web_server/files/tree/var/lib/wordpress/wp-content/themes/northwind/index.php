<?php
// SPDX-License-Identifier: GPL-3.0-or-later
?><!DOCTYPE html>
<html <?php language_attributes(); ?>>
<head>
<meta charset="<?php bloginfo('charset'); ?>">
<title><?php wp_title('|', true, 'right'); bloginfo('name'); ?></title>
<link rel="stylesheet" href="<?php echo esc_url(get_stylesheet_uri()); ?>">
<?php wp_head(); ?>
</head>
<body>
<h1><a href="<?php echo esc_url(home_url('/')); ?>"><?php bloginfo('name'); ?></a></h1>
<?php while (have_posts()) { the_post(); ?>
<article id="post-<?php the_ID(); ?>">
<h2><a href="<?php the_permalink(); ?>"><?php the_title(); ?></a></h2>
<p><?php echo esc_html(get_the_date('j F Y')); ?>, <?php the_author(); ?></p>
<?php the_content(); ?>
<?php if (is_single()) { foreach (get_comments(['post_id' => get_the_ID(), 'status' => 'approve', 'order' => 'ASC']) as $c) { ?>
<blockquote id="comment-<?php echo (int) $c->comment_ID; ?>"><?php echo esc_html($c->comment_author . ': ' . $c->comment_content); ?></blockquote>
<?php } } ?>
</article>
<?php } ?>
<?php wp_footer(); ?>
</body>
</html>
