"""Names of columns as people and exports write them, in letters and digits only, and what they become. Pure."""

from typing import Final

from customers.collection.model import ImportKind

_WHO: Final = {
    "email": "email emailaddress mail emailadresse courriel correo correoelectronico adresseemail customeremail"
    " requesteremail contactemail",
    "phone": "phone phonenumber telephone mobile mobilephone cell tel telefon telefono handy portable movil",
    "external_id": "externalid customerid customerno crmid customernumber clientid kundennummer userid",
}
_PROFILES: Final = {
    **_WHO,
    "given_name": "givenname firstname forename vorname prenom nombre nome",
    "family_name": "familyname lastname surname nachname nomdefamille apellido apellidos cognome sobrenome",
    "street": "street address addressline1 address1 streetaddress strasse adresse rue calle direccion via indirizzo",
    "postal_code": "postalcode postcode zip zipcode plz codepostal codigopostal cap cep",
    "city": "city town ort stadt ville ciudad citta cidade",
    "country": "country countrycode land pays pais paese",
    "region": "region salesregion",
    "birth_date": "birthdate dateofbirth dob born birthday geburtsdatum datedenaissance fechadenacimiento datadinascita",
    "language": "language lang locale sprache langue idioma lingua",
    "national_id": "nationalid ssn socialsecuritynumber nino dni cpf",
    "loyalty_tier": "loyaltytier tier loyaltylevel",
    "acquisition_channel": "acquisitionchannel channel source",
    "notes": "notes note comments comment remarks bemerkung",
    "consents.marketing": "marketing marketingconsent optin",
    "consents.email_marketing": "emailmarketing newsletter emailoptin",
}
_ORDERS: Final = {
    **_WHO,
    "order_number": "ordernumber orderno orderid order bestellnummer auftragsnummer numerocommande numeropedido id name",
    "placed_at": "placedat orderdate orderedat createdat created date bestelldatum datecommande fechapedido",
    "updated_at": "updatedat modifiedat lastmodified changedat",
    "total": "total ordertotal grandtotal totalprice totalamount amount gesamtbetrag summe montant importe",
    "refunded": "refunded refundedamount totalrefunded erstattet",
    "currency": "currency currencycode waehrung wahrung devise moneda",
    "status": "status orderstatus financialstatus state",
    "items": "items products lineitems orderitems",
    "item.sku": "sku lineitemsku productid articleno artikelnummer",
    "item.title": "title product productname lineitemname article artikel item itemname",
    "item.quantity": "quantity qty lineitemquantity menge quantite cantidad anzahl pieces",
    "item.price": "price unitprice priceeach lineitemprice itemprice einzelpreis stueckpreis prixunitaire",
    "shipping_address": "shippingaddress deliveryaddress lieferadresse adressedelivraison",
    "gift_message": "giftmessage giftnote grusskarte",
    "payment_last4": "last4 cardlast4 paymentlast4",
}
_TICKETS: Final = {
    **_WHO,
    "ticket_number": "ticketnumber ticketno ticketid ticket caseid casenumber id key",
    "opened_at": "openedat createdat created opened date",
    "closed_at": "closedat solvedat resolvedat closed resolved",
    "updated_at": "updatedat modifiedat lastmodified changedat",
    "status": "status ticketstatus state",
    "channel": "channel via source",
    "topic": "topic category type queue",
    "subject": "subject betreff objet asunto title summary",
    "body": "body message description text nachricht",
}
_EVENTS: Final = {
    "type": "type eventtype",
    "name": "event eventname name",
    "user_id": "userid customerid",
    "anonymous_id": "anonymousid visitorid deviceid",
    "previous_id": "previousid",
    "group_id": "groupid",
    "message_id": "messageid eventid",
    "timestamp": "timestamp originaltimestamp time occurredat date",
    "properties": "properties",
    "traits": "traits",
    "context": "context",
    "-": "integrations sentat receivedat version writekey channel metadata projectid",
}
_TABLES: Final = {
    ImportKind.PROFILES: _PROFILES,
    ImportKind.ORDERS: _ORDERS,
    ImportKind.TICKETS: _TICKETS,
    ImportKind.EVENTS: _EVENTS,
}
TARGET_OF: Final = {
    kind: {name: target for target, names in table.items() for name in names.split()}
    for kind, table in _TABLES.items()
}
"""By what a file is full of: what a column becomes, by its plain name."""
