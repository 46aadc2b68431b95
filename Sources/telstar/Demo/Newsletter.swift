// SPDX-License-Identifier: Apache-2.0

/// The newsletter that the demo sends: about ten kilobytes when merged, with links, images and every template feature
/// that an editor would use.
enum Newsletter {
    /// The Subject, a template.
    static let subject = "{{ firstname|default('Hello') }}, your orbit report for {{ month }}"

    /// The HTML part, a template.
    static let html = """
        <!DOCTYPE html>
        <html lang="en">
        <head><meta charset="utf-8"><title>Orbit report</title>
        <style>
        body { font-family: Georgia, 'Times New Roman', serif; background: #f4f1ea; color: #222; margin: 0; }
        .page { max-width: 640px; margin: 0 auto; background: #fff; padding: 32px 40px; }
        h1 { font-size: 26px; line-height: 1.25; } h2 { font-size: 19px; margin-top: 32px; }
        .teaser { border-left: 4px solid #b5541c; padding: 4px 0 4px 16px; margin: 20px 0; }
        .footer { font-size: 12px; color: #777; border-top: 1px solid #ddd; margin-top: 40px; padding-top: 12px; }
        a { color: #b5541c; }
        </style></head>
        <body><div class="page">
        <img src="https://news.telstar.example/img/masthead.png" alt="Orbit report" width="560" height="90">
        <h1>Good {{ daytime|default('day') }}, {{ firstname }} {{ lastname }}!</h1>
        <p>You joined us in {{ city }} {% if years > 1 %}{{ years }} years ago{% else %}this year{% endif %}, and your
        {{ plan|upper }} plan now holds <strong>{{ points }}</strong> points. {% if points > 500 %}That is enough for a
        seat at the <a href="https://news.telstar.example/launch?from={{ code|urlencode }}">next launch</a>.{% else %}Only
        {{ 501 - points }} more and a <a href="https://news.telstar.example/launch?from={{ code|urlencode }}">seat at the
        next launch</a> is yours.{% endif %}</p>
        <h2>What passed overhead</h2>
        \(Newsletter.articles)
        <h2>Picked for you</h2>
        <ul>{% for topic in topics %}
        <li>{{ loop.index }}. <a href="https://news.telstar.example/topics?name={{ topic|urlencode }}">{{ topic|title }}</a></li>{% endfor %}
        </ul>
        <p>Questions? Your adviser {{ adviser }} answers at <a href="https://news.telstar.example/contact/{{ code }}">the
        desk</a>, or write to us on paper: {{ street }}, {{ city }}.</p>
        <p class="footer">You receive this because {{ email }} is on our list.
        <a href="https://news.telstar.example/imprint">Imprint</a> ·
        <a href="{{ unsubscribe }}">Unsubscribe</a></p>
        </div></body>
        </html>
        """

    /// The plain part, a template.
    static let plain = """
        Good {{ daytime|default('day') }}, {{ firstname }} {{ lastname }}!

        You joined us in {{ city }} {% if years > 1 %}{{ years }} years ago{% else %}this year{% endif %}, and your \
        {{ plan|upper }} plan now holds {{ points }} points.

        Picked for you:{% for topic in topics %}
          {{ loop.index }}. {{ topic|title }}{% endfor %}

        The whole report: https://news.telstar.example/report?from={{ code|urlencode }}

        You receive this because {{ email }} is on our list. Unsubscribe: {{ unsubscribe }}
        """

    private static let articles: String = {
        let titles = [
            ("A mirror unfolds", "mirror"), ("Quiet on the night side", "night"), ("The long way to the pole", "pole"),
            ("Rain, seen from above", "rain"),
        ]
        let paragraph = """
            For eleven nights the crew watched the same stretch of coast slide by, and on the twelfth the clouds opened. What \
            the cameras brought home is a map of warmth and water that no ship could have drawn: harbours that breathe \
            with the tide, rivers that carry their own weather inland, and cities that glow long after the people who light \
            them have gone to bed. The readings have been checked against buoys on three seas, and they agree to a tenth of \
            a degree. There is more of this to come before the year is out, and the next pass will be lower and slower.
            """
        return titles.map { title, slug in
            """
            <div class="teaser"><h3>\(title)</h3>
            <img src="https://news.telstar.example/img/\(slug).jpg" alt="\(title)" width="560" height="240">
            <p>\(paragraph)</p>
            <p><a href="https://news.telstar.example/story/\(slug)?reader={{ code|urlencode }}">Read on</a></p></div>
            """
        }.joined(separator: "\n")
    }()
}
