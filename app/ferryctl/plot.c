/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the top: what it is; all of its time, with the rate at which pages became dirty; the part in
 * which the guest was nowhere, enlarged; what the numbers on the marks mean.
 */
#include "plot.h"
#include "member.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define WIDTH      960
#define LEFT       100
#define RIGHT      930
#define LANE       24
#define LINE       18
#define CURVE      110
#define CLUSTER    18  /* marks that are closer share a label */
#define TICKS      8

static const struct { const char *lane, *color; } lanes[] = {
	{ "logging", "#4c78a8" }, { "stopped", "#e45756" },
	{ "parked", "#f2a33c" }, { "running", "#54a24b" },
};

#define N_LANES (sizeof(lanes) / sizeof(lanes[0]))

/* A part of the time on the width of the drawing. */
struct panel {
	const char *title;
	double from, to;  /* microseconds */
	int top;
	bool curve;
};

static void
xml_print(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		default:
			fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, out);
		}
	}
}

static void
text_at(double x, double y, const char *attributes, const char *text, FILE *out)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
	xml_print(text, out);
	fputs("</text>\n", out);
}

static double
x_of(const struct panel *p, double us)
{
	return LEFT + (us - p->from) * (RIGHT - LEFT) / (p->to - p->from);
}

static int
lanes_top(const struct panel *p)
{
	return p->top + 2 * LINE + (p->curve ? CURVE + LINE : 0);
}

static int
bottom(const struct panel *p)
{
	return lanes_top(p) + (int)N_LANES * LANE;
}

/* 1, 2 or 5 times a power of ten, so that there are about TICKS of them. */
static double
tick_step(double length)
{
	double step = pow(10, floor(log10(length / TICKS)));

	if (length / step > 5 * TICKS)
		return step * 10;
	if (length / step > 2 * TICKS)
		return step * 5;
	return length / step > TICKS ? step * 2 : step;
}

static void
draw_axis(const struct panel *p, FILE *out)
{
	double step = tick_step((p->to - p->from) / 1000);
	int decimals = step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9);
	int y = bottom(p);
	char label[32];

	for (double ms = ceil(p->from / 1000 / step) * step; ms * 1000 <= p->to; ms += step) {
		double x = x_of(p, ms * 1000);

		fprintf(out, "<path d=\"M%.1f %d V%d\" stroke=\"#ddd\"/>\n", x, lanes_top(p), y + 4);
		snprintf(label, sizeof(label), "%.*f", decimals, ms);
		text_at(x, y + LINE, "text-anchor=\"middle\"", label, out);
	}
	fprintf(out, "<path d=\"M%d %d H%d\" stroke=\"#333\"/>\n", LEFT, y, RIGHT);
	text_at(RIGHT, y + 2 * LINE - 3, "text-anchor=\"end\"", "milliseconds", out);
}

static void
draw_lanes(const struct panel *p, const json_t *m, FILE *out)
{
	const json_t *span;
	size_t i;

	for (size_t lane = 0; lane < N_LANES; lane++) {
		double y = lanes_top(p) + (double)lane * LANE;

		text_at(LEFT - 8, y + 16, "text-anchor=\"end\"", lanes[lane].lane, out);
		json_array_foreach(json_object_get(m, "spans"), i, span) {
			double from = fmax(number_of(span, "from_us"), p->from);
			double to = fmin(number_of(span, "to_us"), p->to);

			if (strcmp(text_of(span, "lane"), lanes[lane].lane) != 0 || to < from)
				continue;
			fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" "
				"fill=\"%s\"/>\n", x_of(p, from), y + 4,
				fmax(x_of(p, to) - x_of(p, from), 1), LANE - 8, lanes[lane].color);
		}
	}
}

/* Marks are numbered as the list at the bottom is; what is drawn too close gets one label. */
static void
draw_marks(const struct panel *p, const json_t *m, FILE *out)
{
	const json_t *list = json_object_get(m, "moments");
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n; i++) {
		double us = number_of(json_array_get(list, i), "us"), x = x_of(p, us);
		size_t last = i;
		char label[48];

		if (us < p->from || us > p->to)
			continue;
		while (last + 1 < n && number_of(json_array_get(list, last + 1), "us") <= p->to &&
		       x_of(p, number_of(json_array_get(list, last + 1), "us")) - x < CLUSTER)
			last++;
		fprintf(out, "<path d=\"M%.1f %d V%d\" stroke=\"#333\" stroke-dasharray=\"3 3\"/>\n", x,
			p->top + LINE + 6, bottom(p));
		snprintf(label, sizeof(label), last > i ? "%zu-%zu" : "%zu", i + 1, last + 1);
		text_at(x, p->top + LINE + 2, "text-anchor=\"middle\"", label, out);
		i = last;
	}
}

static double
peak_of(const json_t *m)
{
	const json_t *sample;
	double peak = 0;
	size_t i;

	json_array_foreach(json_object_get(m, "dirty"), i, sample)
		peak = fmax(peak, number_of(sample, "pages_per_s"));
	return peak;
}

/* Steps: a rate is that of the time since the sample before. */
static void
draw_curve(const struct panel *p, const json_t *m, FILE *out)
{
	double peak = peak_of(m), base = lanes_top(p) - LINE;
	const json_t *sample;
	char label[48];
	size_t i;

	text_at(LEFT - 8, base, "text-anchor=\"end\"", "0", out);
	snprintf(label, sizeof(label), "%.0f", peak);
	text_at(LEFT - 8, base - CURVE + 10, "text-anchor=\"end\"", label, out);
	text_at(LEFT - 8, base - CURVE / 2.0, "text-anchor=\"end\"", "pages/s", out);
	fprintf(out, "<path fill=\"#9ecae9\" stroke=\"#4c78a8\" d=\"M%d %.1f", LEFT, base);
	json_array_foreach(json_object_get(m, "dirty"), i, sample)
		fprintf(out, " V%.1f H%.1f", base - (peak > 0 ?
			number_of(sample, "pages_per_s") * CURVE / peak : 0),
			x_of(p, fmin(number_of(sample, "us"), p->to)));
	fprintf(out, " V%.1f Z\"/>\n", base);
}

static void
draw_panel(const struct panel *p, const json_t *m, FILE *out)
{
	text_at(LEFT, p->top, "font-weight=\"bold\"", p->title, out);
	draw_axis(p, out);
	if (p->curve)
		draw_curve(p, m, out);
	draw_lanes(p, m, out);
	draw_marks(p, m, out);
}

static double
end_of(const json_t *m)
{
	const json_t *moments = json_object_get(m, "moments"), *span;
	double end = number_of(json_array_get(moments, json_array_size(moments) - 1), "us");
	size_t i;

	json_array_foreach(json_object_get(m, "spans"), i, span)
		end = fmax(end, number_of(span, "to_us"));
	return fmax(end, 1);
}

/* The time in which the guest was nowhere or its frames waited; false: there was none. */
static bool
away(const json_t *m, double *from, double *to)
{
	const json_t *span;
	bool found = false;
	size_t i;

	json_array_foreach(json_object_get(m, "spans"), i, span) {
		const char *lane = text_of(span, "lane");

		if (strcmp(lane, "stopped") != 0 && strcmp(lane, "parked") != 0)
			continue;
		*from = fmin(found ? *from : HUGE_VAL, number_of(span, "from_us"));
		*to = fmax(found ? *to : 0, number_of(span, "to_us"));
		found = true;
	}
	return found;
}

static void
draw_list(const json_t *m, int top, FILE *out)
{
	const json_t *moment;
	char line[256];
	size_t i;

	json_array_foreach(json_object_get(m, "moments"), i, moment) {
		int y = top + (int)i * LINE;

		snprintf(line, sizeof(line), "%zu", i + 1);
		text_at(LEFT - 8, y, "text-anchor=\"end\" font-weight=\"bold\"", line, out);
		snprintf(line, sizeof(line), "%.3f ms", number_of(moment, "us") / 1000);
		text_at(LEFT + 90, y, "text-anchor=\"end\"", line, out);
		text_at(LEFT + 104, y, "", text_of(moment, "text"), out);
	}
}

static void
draw_head(const json_t *m, int height, FILE *out)
{
	char title[160];

	snprintf(title, sizeof(title), "%.64s: migration %.0f %s, %.32s, %.32s",
		 text_of(m, "port"), number_of(m, "number"), text_of(m, "direction"),
		 text_of(m, "state"), text_of(m, "time"));
	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n"
		"<title>", WIDTH, height, WIDTH, height);
	xml_print(title, out);
	fprintf(out, "</title>\n<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n", WIDTH, height);
	text_at(LEFT, 28, "font-size=\"16\" font-weight=\"bold\"", title, out);
	text_at(LEFT, 48, "", text_of(m, "verdict"), out);
}

void
plot_draw(const json_t *m, FILE *out)
{
	struct panel whole = { "all of it", 0, end_of(m) * 1.01, 84, true };
	struct panel part = { "while the guest was away", 0, 0, bottom(&whole) + 4 * LINE, false };
	bool enlarged = away(m, &part.from, &part.to);
	double margin = fmax(part.to - part.from, 1) * 0.04;
	int list;

	part.from -= margin;
	part.to += margin;
	list = (enlarged ? bottom(&part) : bottom(&whole)) + 4 * LINE;
	draw_head(m, list + (int)json_array_size(json_object_get(m, "moments")) * LINE, out);
	draw_panel(&whole, m, out);
	if (enlarged)
		draw_panel(&part, m, out);
	draw_list(m, list, out);
	fputs("</svg>\n", out);
}
