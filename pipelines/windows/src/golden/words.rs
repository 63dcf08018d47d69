//! What the golden messages say.

/// Of these every text is made; none trends by itself.
pub(super) const COMMON: &str = "
    ranok vecher kava robota zustrich pytannia vidpovid hroshi knyha muzyka futbol pohoda doroha budynok shkola likar
    mahazyn tovar tsina znyzhka dostavka poslugha remont mashyna avtobus poizd kvytok hotel more hory lis richka mist
    планета дзвінок урок зошит стілець вікно двері кухня сніданок вечеря морква картопля борщ хліб сир молоко чай цукор
    погода хмара вітер дощ сонце місяць зірка трава дерево листя квітка птах кішка собака риба кінь корова коза вівця
    новость погодка дорога работа встреча вопрос ответ деньги книга музыка футбол школа врач магазин товар цена скидка
    meeting report invoice server backup release branch review ticket sprint budget contract partner customer market price
    garden kitchen window bottle paper pencil music guitar violin piano concert theatre cinema actor movie series episode
    tomato potato carrot onion garlic pepper apple banana orange lemon cherry plum peach grape melon bread butter cheese
    winter summer spring autumn morning evening midnight weekend holiday journey airport station platform luggage passport
    doctor nurse patient clinic vaccine tablet bandage surgery dentist glasses headache fever cough allergy insurance policy
";

/// What some hours are about: a topic's words and its link.
pub(super) const TOPICS: [(&str, &str); 6] = [
    ("повінь дамба евакуація", "https://flood.example/map"),
    ("вибори дільниця бюлетень", "https://vote.example/live"),
    (
        "outage datacenter failover",
        "https://status.example/incident/7",
    ),
    ("землетрус поштовх епіцентр", "https://quake.example/latest"),
    ("забастовка метро перегон", "https://metro.example/closed"),
    ("eclipse telescope corona", "https://sky.example/eclipse"),
];
