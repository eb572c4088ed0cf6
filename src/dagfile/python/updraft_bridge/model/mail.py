"""`send_email`: a mail from Python code, by the connection `smtp_default` or the section [smtp] of the environment.

EmailOperator itself needs no Python; this serves functions and classes of authors.
"""

import email.message
import email.utils
import mimetypes
import os
import smtplib
import ssl

from .configuration import conf
from .exceptions import AirflowNotFoundException
from .store_values import Connection


def addresses(value):
    """One address, several in one text, or any collection of them."""
    if value is None:
        return []
    if isinstance(value, str):
        value = value.replace(";", ",").split(",")
    return [one.strip() for one in value if one.strip()]


get_email_address_list = addresses


def server(conn_id):
    """Host, port, user, password, sender, and how the line is made safe."""
    try:
        found = Connection.get(conn_id or "smtp_default")
    except AirflowNotFoundException:
        if conn_id not in (None, "smtp_default"):
            raise
        return {
            "host": conf.get("smtp", "smtp_host"), "port": conf.getint("smtp", "smtp_port"),
            "user": conf.get("smtp", "smtp_user", None), "password": conf.get("smtp", "smtp_password", None),
            "from": conf.get("smtp", "smtp_mail_from"), "ssl": conf.getboolean("smtp", "smtp_ssl"),
            "starttls": conf.getboolean("smtp", "smtp_starttls"),
        }
    extra = found.extra_dejson
    is_ssl = str(extra.get("disable_ssl", "true")).lower() == "false"
    return {
        "host": found.host or "localhost", "port": found.port or (465 if is_ssl else 25), "user": found.login,
        "password": found.password, "from": extra.get("from_email") or conf.get("smtp", "smtp_mail_from"), "ssl": is_ssl,
        "starttls": not is_ssl and str(extra.get("disable_tls", "false")).lower() != "true",
    }


def send_email(to, subject, html_content, files=None, dryrun=False, cc=None, bcc=None, mime_subtype="mixed",
               mime_charset="utf-8", conn_id=None, custom_headers=None, from_email=None, **kwargs):
    known = server(conn_id)
    message = email.message.EmailMessage()
    message["Subject"], message["From"] = subject, from_email or known["from"]
    message["To"] = ", ".join(addresses(to))
    if cc:
        message["Cc"] = ", ".join(addresses(cc))
    message["Date"] = email.utils.formatdate(localtime=True)
    for name, value in (custom_headers or {}).items():
        message[name] = value
    message.set_content(html_content, subtype="html", charset=mime_charset)
    for path in files or []:
        kind, _, sub = (mimetypes.guess_type(path)[0] or "application/octet-stream").partition("/")
        with open(path, "rb") as file:
            message.add_attachment(file.read(), maintype=kind, subtype=sub, filename=os.path.basename(path))
    everybody = addresses(to) + addresses(cc) + addresses(bcc)
    if dryrun:
        return
    safe = ssl.create_default_context()
    connect = (lambda: smtplib.SMTP_SSL(known["host"], known["port"], timeout=30, context=safe)) if known["ssl"] else (
        lambda: smtplib.SMTP(known["host"], known["port"], timeout=30))
    with connect() as smtp:
        if known["starttls"] and not known["ssl"] and smtp.ehlo() and smtp.has_extn("starttls"):
            smtp.starttls(context=safe)
        if known["user"]:
            smtp.login(known["user"], known["password"] or "")
        smtp.send_message(message, to_addrs=everybody)


send_email_smtp = send_email
